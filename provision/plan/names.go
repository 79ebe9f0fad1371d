package plan

import (
	"net/netip"

	"github.com/slipway-project/slipway/provision/services"
)

// A Record is a DNS record that the services will answer with.
type Record struct {
	Name string `json:"name"` // absolute, with the final dot; a leading * is a wildcard
	Type string `json:"type"` // A, PTR
	Data string `json:"data"`
}

// A Frontend is a port of the load balancer and the nodes behind it.
type Frontend struct {
	Name  string         `json:"name"`
	Bind  netip.AddrPort `json:"bind"`
	Nodes []string       `json:"nodes"` // node names
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
