package dnsserver

import (
	"slices"

	"github.com/miekg/dns"
)

// maxChain bounds how many aliases one answer follows.
const maxChain = 32

// A finding is what our zones say to a question.
type finding struct {
	rcode         int
	authoritative bool
	answer        []dns.RR
	authority     []dns.RR
	additional    []dns.RR // glue: a referral is useless without it
	left          string   // the alias led to this name outside our zones
}

// lookup answers from the table (RFC 1034 4.3.2), aliases followed through all
// zones. It is false when no zone of ours has the name.
func (t *table) lookup(name string, key wireName, qtype uint16) (finding, bool) {
	z := t.find(key, qtype)
	if z == nil {
		return finding{}, false
	}
	f := finding{authoritative: true}
	seen := []wireName{key}
	for len(seen) < maxChain {
		n, cut := z.walk(key, qtype)
		alias := f.step(z, n, cut, name, qtype)
		if alias == "" {
			break
		}
		name, key = alias, mustWire(alias)
		if slices.Contains(seen, key) {
			break // a loop; what was found is still true
		}
		seen = append(seen, key)
		if z = t.find(key, qtype); z == nil {
			f.left = alias
			break
		}
	}
	return f, true
}

// step adds what z says of one name and returns where an alias points.
func (f *finding) step(z *zone, n, cut *node, name string, qtype uint16) (alias string) {
	switch {
	case cut != nil:
		f.refer(z, cut)
	case n == nil:
		f.rcode = dns.RcodeNameError // that of the last name (RFC 6604)
		f.authority = z.negative
	case n.sets[dns.TypeCNAME] != nil && qtype != dns.TypeCNAME && qtype != dns.TypeANY:
		f.answer = append(f.answer, owned(n.sets[dns.TypeCNAME], name)...)
		return n.sets[dns.TypeCNAME][0].(*dns.CNAME).Target
	case n.set(qtype) == nil:
		f.authority = z.negative
	default:
		f.answer = append(f.answer, owned(n.set(qtype), name)...)
	}
	return ""
}

// refer sends the client on to the servers of a delegated zone.
func (f *finding) refer(z *zone, cut *node) {
	f.authoritative = len(f.answer) > 0 // AA speaks of the first name
	f.authority = cut.sets[dns.TypeNS]
	for _, ns := range f.authority {
		glue := z.nodes[mustWire(ns.(*dns.NS).Ns)]
		if glue == nil {
			continue
		}
		f.additional = append(f.additional, glue.sets[dns.TypeA]...)
		f.additional = append(f.additional, glue.sets[dns.TypeAAAA]...)
	}
}

// walk goes from the apex down to key: to its node, to the wildcard that
// stands for it, to nil, or to the delegation it meets first.
func (z *zone) walk(key wireName, qtype uint16) (n, cut *node) {
	var labels [128]wireName
	depth := 0
	for name := key; name != z.apex; name = name.parent() {
		labels[depth] = name
		depth++
	}
	n = z.nodes[z.apex]
	for _, name := range slices.Backward(labels[:depth]) {
		child := z.nodes[name]
		if child == nil {
			return n.wild, nil // n is the closest encloser (RFC 4592 3.3.1)
		}
		if child.cut && (name != key || qtype != dns.TypeDS) {
			return nil, child
		}
		n = child
	}
	return n, nil
}

// set returns the records of a type; for ANY, one set (RFC 8482 4.1).
func (n *node) set(qtype uint16) []dns.RR {
	if qtype != dns.TypeANY {
		return n.sets[qtype]
	}
	lowest := uint16(0)
	for t := range n.sets {
		if lowest == 0 || t < lowest {
			lowest = t
		}
	}
	return n.sets[lowest]
}

// owned copies a set under the name that was asked: letter for letter, and
// never the wildcard's.
func owned(set []dns.RR, name string) []dns.RR {
	out := make([]dns.RR, len(set))
	for i, rr := range set {
		out[i] = dns.Copy(rr)
		out[i].Header().Name = name
	}
	return out
}
