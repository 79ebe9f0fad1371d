package provision

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/services"
)

const (
	dnsPort    = 53
	noWildcard = "validateNoWildcardDNS." // below the cluster's zone, must not exist
)

// Services is the services document that the spec asks for, with the serial it
// has, or will have once `up` has replaced the one that is there. Nothing is
// contacted.
func (p *Project) Services() services.Document {
	current, err := services.Read(p.document())
	if want := p.wantServices(current.Serial); err == nil && reflect.DeepEqual(current, want) {
		return current
	}
	return p.wantServices(current.Serial + 1)
}

// A DNSCheck is what DNS servers say of the cluster's names.
type DNSCheck struct {
	Cluster string           `json:"cluster"`
	Node    string           `json:"node,omitempty"` // that asked; "": this machine
	Servers []netip.AddrPort `json:"servers"`
	Answers []probe.Answer   `json:"answers"` // those of the first server first
}

// CheckDNS asks the server for every name that the installer and the nodes
// will ask for, and for those that must not exist. A zero server is the one at
// the services address.
func (p *Project) CheckDNS(ctx context.Context, server netip.AddrPort) (DNSCheck, error) {
	if !server.IsValid() {
		server = netip.AddrPortFrom(p.cluster.Services.Addresses()[0], dnsPort)
	}
	answers, err := probe.DNS(ctx, server, p.dnsQuestions([]string{p.cluster.FullName() + "."}))
	if err != nil {
		err = hint.With(err, "`slipway up` starts the cluster's own DNS; name another server with --server")
	}
	return DNSCheck{Cluster: p.cluster.FullName(), Servers: []netip.AddrPort{server}, Answers: answers}, err
}

// Err is nil when every answer is as it must be, and else carries advice.
func (c DNSCheck) Err() error {
	wrong := slices.DeleteFunc(slices.Clone(c.Answers), func(a probe.Answer) bool { return a.OK })
	if len(wrong) == 0 {
		return nil
	}
	advice := "`slipway dns records` lists the records that the server needs"
	if i := slices.IndexFunc(wrong, unwanted); i >= 0 {
		advice = c.explainWildcard(wrong[i].Name)
	}
	return hint.With(fmt.Errorf("%d of %d answers of %s are wrong", len(wrong), len(c.Answers), c.asked()), advice)
}

// explainWildcard says what makes a name exist: the cluster's zone, or the
// domain that hosts append to it.
func (c DNSCheck) explainWildcard(name string) string {
	advice := fmt.Sprintf("%s exists, which the installer takes for a wildcard: ", name)
	domain, searched := strings.CutPrefix(name, noWildcard+c.Cluster+".")
	if !searched || domain == "" {
		return advice + fmt.Sprintf("remove *.%s, and whatever answers for every name", c.Cluster)
	}
	return advice + fmt.Sprintf("take the search domain %s from the hosts, or its wildcard out of it", strings.TrimSuffix(domain, "."))
}

// asked names the servers, and who asked them if that was not this machine.
func (c DNSCheck) asked() string {
	var names []string
	for _, s := range c.Servers {
		names = append(names, s.String())
	}
	text := "DNS server " + strings.Join(names, ", ")
	if c.Node != "" {
		text += ", asked from " + c.Node + ","
	}
	return text
}

// unwanted reports an address of a name that must not exist.
func unwanted(a probe.Answer) bool {
	first, _, _ := strings.Cut(a.Got, ",")
	_, err := netip.ParseAddr(first)
	return a.Want == probe.NXDOMAIN && err == nil
}

// dnsQuestions are, in this order, what each discovered host asks (assisted
// service, domain name resolutions), what must be there without data, and the
// checks with dig that the documentation of OpenShift prescribes. Hosts append
// the search domains, which are absolute, to names without a final dot.
func (p *Project) dnsQuestions(search []string) []probe.Question {
	zone, api := p.cluster.FullName()+".", p.cluster.Services.API()
	kind, other := addressTypes(api[0])
	at := addressData(api)
	external, internal, console := "api."+zone, "api-int."+zone, "console-openshift-console.apps."+zone
	wildcard := noWildcard + zone
	list := []probe.Question{
		{Name: external, Type: kind, Want: at},
		{Name: internal, Type: kind, Want: at},
		{Name: console, Type: kind, Want: at},
		{Name: wildcard, Type: kind, Want: probe.NXDOMAIN},
	}
	for _, domain := range search {
		list = append(list, probe.Question{Name: wildcard + domain, Type: kind, Want: probe.NXDOMAIN})
	}
	list = append(list, []probe.Question{
		{Name: external, Type: other, Want: probe.NODATA},
		{Name: internal, Type: other, Want: probe.NODATA},
		{Name: console, Type: other, Want: probe.NODATA},
		{Name: "random.apps." + zone, Type: kind, Want: at},
	}...)
	for _, a := range api {
		list = append(list, pointer(a, external, internal))
	}
	for _, n := range p.Nodes() {
		if n.DHCP() {
			continue // nobody knows it yet
		}
		kind, _ := addressTypes(n.Address)
		list = append(list, probe.Question{Name: n.Full + ".", Type: kind, Want: n.Address.String()}, pointer(n.Address, n.Full+"."))
	}
	return list
}

// addressData is what an answer with all of the addresses says.
func addressData(all []netip.Addr) string {
	var text []string
	for _, a := range all {
		text = append(text, a.String())
	}
	return probe.Data(text...)
}

// addressTypes are the record type of an address and that of the other family.
func addressTypes(a netip.Addr) (kind, other string) {
	if a.Is4() {
		return "A", "AAAA"
	}
	return "AAAA", "A"
}

func pointer(a netip.Addr, names ...string) probe.Question {
	reverse, err := dns.ReverseAddr(a.String())
	if err != nil {
		panic(err) // of a valid address: a bug
	}
	return probe.Question{Name: reverse, Type: "PTR", Want: probe.Data(names...)}
}
