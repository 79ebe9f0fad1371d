package services

import "net/netip"

// A Port is one socket that serving a document takes.
type Port struct {
	Network string         `json:"network"` // udp or tcp
	Addr    netip.AddrPort `json:"address"`
}

// Ports lists the sockets that serving d takes.
func (d Document) Ports() []Port {
	var out []Port
	for _, a := range d.DNS.Listen {
		out = append(out, Port{"udp", a}, Port{"tcp", a})
	}
	for _, f := range d.Balancer.Frontends {
		out = append(out, Port{"tcp", f.Bind})
	}
	return out
}
