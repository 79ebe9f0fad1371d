package plan

import (
	"fmt"
	"net/netip"

	"github.com/slipway-project/slipway/provision/spec"
)

// A Record is a DNS record that the services will answer with.
type Record struct {
	Name string `json:"name"` // absolute, with the final dot; a leading * is a wildcard
	Type string `json:"type"` // A, PTR
	Data string `json:"data"`
}

// A Frontend is a port of the load balancer and the nodes behind it.
type Frontend struct {
	Name  string         `json:"name"` // api, machine-config, ingress-http, ingress-https
	Bind  netip.AddrPort `json:"bind"`
	Nodes []string       `json:"nodes"` // node names
}

// Records lists the cluster's records: what installer and nodes ask for, and
// nothing that answers for other names (a wildcard at the cluster's own name
// stops the installation).
func Records(c spec.Cluster) []Record {
	full, services := c.FullName()+".", c.Services.Address
	records := []Record{
		{"api." + full, "A", services.String()},
		{"api-int." + full, "A", services.String()},
		{"*.apps." + full, "A", services.String()},
	}
	for _, n := range c.Nodes {
		records = append(records, Record{n.Full + ".", "A", n.Address.String()})
	}
	records = append(records, Record{reverse(services), "PTR", "api." + full}, Record{reverse(services), "PTR", "api-int." + full})
	for _, n := range c.Nodes {
		records = append(records, Record{reverse(n.Address), "PTR", n.Full + "."})
	}
	return records
}

// reverse is the name of an IPv4 address below in-addr.arpa (RFC 1035, 3.5).
func reverse(addr netip.Addr) string {
	b := addr.As4()
	return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", b[3], b[2], b[1], b[0])
}

// Frontends lists the four ports of a cluster. The bootstrap node is one of
// the control plane, so that no other server is needed. With fewer than two
// workers the router runs on the control plane as well.
func Frontends(c spec.Cluster) []Frontend {
	var control, workers []string
	for _, n := range c.Nodes {
		if n.Role == spec.ControlPlane {
			control = append(control, n.Name)
		} else {
			workers = append(workers, n.Name)
		}
	}
	routers := workers
	if len(workers) < 2 {
		routers = append(append([]string{}, control...), workers...)
	}
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(c.Services.Address, port) }
	return []Frontend{
		{"api", at(6443), control},
		{"machine-config", at(22623), control},
		{"ingress-http", at(80), routers},
		{"ingress-https", at(443), routers},
	}
}
