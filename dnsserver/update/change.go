package update

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// A ConflictError names what is in the way of a push: records that we did not
// make, at names that we want.
type ConflictError struct {
	Zone  string   // of the server
	Names []string // each with what is there
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("zone %s has records that are not ours: %s", e.Zone, strings.Join(e.Names, "; "))
}

// A change is the difference between what is there and what is wanted.
type change struct {
	*contents
	owner     string
	msg       *dns.Msg // one update, with its prerequisites
	counts    Counts
	conflicts map[string]string // by name
	guarded   map[string]bool   // names that have a prerequisite
}

func newChange(c *contents, owner string) *change {
	return &change{contents: c, owner: owner, msg: new(dns.Msg).SetUpdate(c.apex),
		conflicts: map[string]string{}, guarded: map[string]bool{}}
}

// difference makes the change to exactly the wanted sets: what is marked as
// the owner's and not among them goes.
func difference(c *contents, want map[set][]dns.RR, owner string) (*change, error) {
	d := newChange(c, owner)
	for _, s := range d.ours(want) {
		d.remove(s)
	}
	for _, s := range slices.SortedFunc(maps.Keys(want), order) {
		d.put(s, want[s])
	}
	return d, d.conflict()
}

// order sorts sets by name, from the apex outwards, and type.
func order(a, b set) int {
	return cmp.Or(cmp.Compare(reversed(a.name), reversed(b.name)), cmp.Compare(a.rtype, b.rtype))
}

func reversed(name string) string {
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	return strings.Join(labels, ".")
}

// ours lists the sets that carry the owner's mark and are not wanted.
func (d *change) ours(want map[set][]dns.RR) (sets []set) {
	for at := range d.sets {
		if at.rtype != dns.TypeTXT {
			continue
		}
		for rtype, owner := range d.marks(at.name) {
			s := set{at.name, rtype}
			if _, wanted := want[s]; owner == d.owner && !wanted {
				sets = append(sets, s)
			}
		}
	}
	slices.SortFunc(sets, order)
	return sets
}

// put brings one set to what is wanted.
func (d *change) put(s set, want []dns.RR) {
	marks := d.marks(s.name)
	have := d.data(s)
	owner, marked := marks[s.rtype]
	switch {
	case marked && owner != d.owner:
		d.conflicts[s.name] = "it belongs to " + owner
	case marked && same(have, want):
		d.counts.Unchanged++
	case marked:
		d.guard(s.name)
		d.msg.Remove(copies(have))
		d.msg.Insert(copies(want))
		d.counts.Changed++
	case d.foreign(s, marks, have):
	default:
		d.guard(s.name)
		if len(marks) > 0 {
			d.msg.RRsetNotUsed(want[:1])
		}
		d.msg.Insert(append(copies(want), mark{d.owner, s.rtype}.record(s.name, want[0].Header().Ttl)))
		d.counts.Added++
	}
}

// foreign reports whether somebody else's records are where s would be added,
// and notes the conflict.
func (d *change) foreign(s set, marks map[uint16]string, have []dns.RR) bool {
	for _, owner := range marks {
		if owner != d.owner {
			d.conflicts[s.name] = "it belongs to " + owner
			return true
		}
	}
	if len(have) == 0 && (len(marks) > 0 || !d.used[s.name]) {
		return false
	}
	d.conflicts[s.name] = d.found(s.name)
	return true
}

// found says what is at a name.
func (d *change) found(name string) string {
	var types []string
	for s := range d.sets {
		if s.name == name {
			types = append(types, dns.Type(s.rtype).String())
		}
	}
	if len(types) == 0 {
		return "it exists without our mark"
	}
	slices.Sort(types)
	return "it has " + strings.Join(types, ", ") + " without our mark"
}

// remove takes the records of a marked set out one by one, as they were read,
// and the mark: marks of other sets share their type with TXT records.
func (d *change) remove(s set) {
	d.guard(s.name)
	gone := copies(d.data(s))
	for _, rr := range d.sets[set{s.name, dns.TypeTXT}] {
		if m, ok := parseMark(rr); ok && m == (mark{d.owner, s.rtype}) {
			gone = append(gone, dns.Copy(rr))
		}
	}
	d.msg.Remove(gone)
	d.counts.Removed++
}

// guard adds the prerequisite of a name, once: our marks are as they were
// read, or nobody has the name.
func (d *change) guard(name string) {
	if d.guarded[name] {
		return
	}
	d.guarded[name] = true
	if txt := d.sets[set{name, dns.TypeTXT}]; len(txt) > 0 {
		d.msg.Used(copies(txt))
		return
	}
	d.msg.NameNotUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: name}}})
}

func (d *change) conflict() error {
	if len(d.conflicts) == 0 {
		return nil
	}
	e := &ConflictError{Zone: d.apex}
	for _, name := range slices.Sorted(maps.Keys(d.conflicts)) {
		e.Names = append(e.Names, name+" ("+d.conflicts[name]+")")
	}
	return e
}

// same reports whether two sets are equal, TTL and all, in whatever order.
func same(a, b []dns.RR) bool {
	return slices.Equal(texts(a), texts(b))
}

func texts(set []dns.RR) []string {
	out := make([]string, len(set))
	for i, rr := range set {
		rr = dns.Copy(rr)
		rr.Header().Name = "."
		out[i] = strings.ToLower(rr.String())
		if rr.Header().Rrtype == dns.TypeTXT {
			out[i] = rr.String()
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// copies are records to put into a message, which writes into them.
func copies(in []dns.RR) []dns.RR {
	out := make([]dns.RR, len(in))
	for i, rr := range in {
		out[i] = dns.Copy(rr)
	}
	return out
}
