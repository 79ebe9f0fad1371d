package plan

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

// A Record is a DNS record that the services will answer with.
type Record struct {
	Name string `json:"name"` // absolute, with the final dot; a leading * is a wildcard
	Type string `json:"type"` // A, AAAA, PTR
	Data string `json:"data"`
}

// String is r as a line of a zone.
func (r Record) String() string { return r.Name + " " + r.Type + " " + r.Data }

// A Frontend is a port of the load balancer and the nodes behind it.
type Frontend struct {
	Name  string         `json:"name"`
	Bind  netip.AddrPort `json:"bind"`
	Nodes []string       `json:"nodes"` // node names
}

// String is f for people.
func (f Frontend) String() string {
	return fmt.Sprintf("%s at %s for %s", f.Name, f.Bind, strings.Join(f.Nodes, " "))
}

// A Reservation is what to tell the DHCP server about a node, so that it
// always gets one address. The address itself is the DHCP server's choice.
type Reservation struct {
	Node     string `json:"node"` // control-0
	MAC      string `json:"mac"`
	Hostname string `json:"hostname"`          // control-0.mycluster.lab.test
	Address  string `json:"address,omitempty"` // that it was given last
}

// reservations lists the nodes whose addresses come by DHCP.
func reservations(c spec.Cluster, o Observed) (all []Reservation) {
	for _, n := range c.Nodes {
		if n.DHCP() {
			all = append(all, Reservation{Node: n.Name, MAC: n.MAC.String(), Hostname: n.Full, Address: o.planned(n).Address})
		}
	}
	return all
}

// records lists what the services document will have DNS answer.
func records(d services.Document) (all []Record) {
	for _, zone := range d.DNS.Zones {
		for _, r := range zone.Records {
			all = append(all, Record{r.Name, r.Type, r.Data})
		}
	}
	return all
}

// frontends lists the ports of the services document's load balancer.
func frontends(d services.Document) (all []Frontend) {
	for _, f := range d.Balancer.Frontends {
		shown := Frontend{Name: f.Name, Bind: f.Bind}
		for _, m := range f.Members {
			shown.Nodes = append(shown.Nodes, m.Name)
		}
		all = append(all, shown)
	}
	return all
}
