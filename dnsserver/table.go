package dnsserver

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// A table is everything an answer depends on. It is never changed after it was
// compiled, so a query works with one table from beginning to end.
type table struct {
	zones   map[wireName]*zone
	spots   map[wireName]*spot // every name of the zones, for the fast path
	allow   []netip.Prefix
	forward *forwarder // nil: foreign names are refused
	stale   time.Duration

	transfer transferList
	limit    *limiter // nil: no limit
}

// A zone holds the records below its apex, by name.
type zone struct {
	apex     wireName
	serial   uint32
	nodes    map[wireName]*node
	negative []dns.RR // the SOA with the TTL of negative answers (RFC 2308 5)
	content  []string // every record, sorted: to tell whether two are the same
}

// A node is a name that exists. One without records is an empty non-terminal:
// it exists because something below it does (RFC 8020).
type node struct {
	sets map[uint16][]dns.RR
	wild *node // the child named *, if there is one
	cut  bool  // NS records below the apex: a delegation
}

// find returns the zone with the longest apex above name. The DS set of a
// zone's apex belongs to its parent (RFC 4035 3.1.4.1).
func (t *table) find(name wireName, qtype uint16) *zone {
	var child *zone
	for n := name; ; n = n.parent() {
		if z := t.zones[n]; z != nil {
			if qtype != dns.TypeDS || n != name || n == root {
				return z
			}
			child = z
		}
		if n == root {
			return child
		}
	}
}

// allowed reports whether client may have foreign names looked up.
func (t *table) allowed(client netip.Addr) bool {
	if t.forward == nil {
		return false
	}
	client = client.Unmap().WithZone("")
	return client.IsLoopback() || slices.ContainsFunc(t.allow, func(p netip.Prefix) bool { return p.Contains(client) })
}

// add puts rr into the zone, with the empty non-terminals above it.
func (z *zone) add(name wireName, rr dns.RR) {
	n := z.at(name)
	t := rr.Header().Rrtype
	set := n.sets[t]
	if slices.ContainsFunc(set, func(have dns.RR) bool { return dns.IsDuplicate(have, rr) }) {
		return // RFC 2181 5: a set has no duplicates
	}
	if n.sets == nil {
		n.sets = map[uint16][]dns.RR{}
	}
	n.sets[t] = append(set, rr)
	level(n.sets[t])
	n.cut = n.cut || t == dns.TypeNS && name != z.apex
}

// at returns the node called name, made if need be.
func (z *zone) at(name wireName) *node {
	if n := z.nodes[name]; n != nil {
		return n
	}
	n := &node{}
	z.nodes[name] = n
	if name != z.apex {
		parent := z.at(name.parent())
		if name[:2] == "\x01*" {
			parent.wild = n
		}
	}
	return n
}

// level gives all records of a set its lowest TTL (RFC 2181 5.2).
func level(set []dns.RR) {
	low := set[0].Header().Ttl
	for _, rr := range set {
		low = min(low, rr.Header().Ttl)
	}
	for _, rr := range set {
		rr.Header().Ttl = low
	}
}

// seal is called once all records are in.
func (z *zone) seal() {
	soa := dns.Copy(z.nodes[z.apex].sets[dns.TypeSOA][0]).(*dns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	z.negative = []dns.RR{soa}
	for _, n := range z.nodes {
		for _, set := range n.sets {
			for _, rr := range set {
				z.content = append(z.content, rr.String())
			}
		}
	}
	slices.Sort(z.content)
}
