package update

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/hint"
)

// attempts is how often an update is made anew when the zone changed between
// reading and writing it.
const attempts = 3

// A zoneUpdate is the update of one zone of the server.
type zoneUpdate struct {
	*session
	apex  string
	owner string
	look  map[set][]dns.RR // sets to look at
	want  map[set][]dns.RR // sets to be there in the end
	dry   bool
}

// do reads the zone, sends the difference, and begins again when the server
// finds that the zone is not as it was read.
func (u *zoneUpdate) do(ctx context.Context) (ZoneSummary, error) {
	c, err := u.read(ctx, u.apex, u.look)
	if err != nil {
		return ZoneSummary{}, err
	}
	for range attempts {
		d, err := difference(c, u.want, u.owner)
		if err != nil {
			return ZoneSummary{}, hint.With(err, "remove them from the server, or give the cluster another name: slipway changes only what carries its own mark")
		}
		sum := ZoneSummary{Zone: u.apex, Counts: d.counts, Whole: c.whole, Update: script(d.msg)}
		if sum.Update == "" || u.dry {
			return sum, nil
		}
		if moved, err := u.send(ctx, d.msg); err != nil || !moved {
			return sum, err
		}
		if c, err = u.again(ctx); err != nil {
			return ZoneSummary{}, err
		}
	}
	return ZoneSummary{}, fmt.Errorf("zone %s of DNS server %s changes while it is being updated", u.apex, u.server)
}

// again reads the zone anew, and asks now which names there really are.
func (u *zoneUpdate) again(ctx context.Context) (*contents, error) {
	c, err := u.read(ctx, u.apex, u.look)
	if err != nil || c.whole {
		return c, err
	}
	return c, u.probe(ctx, c, names(u.look))
}

// send sends an update. moved says that the zone is not as it was read.
func (u *zoneUpdate) send(ctx context.Context, m *dns.Msg) (moved bool, err error) {
	m.Compress = true
	if size := m.Len(); size > dns.MaxMsgSize-1024 { // room for the signature
		return false, fmt.Errorf("update of zone %s: %d octets are more than one message holds", u.apex, size)
	}
	r, err := u.ask(ctx, m)
	if err != nil {
		return false, err
	}
	switch r.Rcode {
	case dns.RcodeSuccess:
		return false, nil
	case dns.RcodeYXDomain, dns.RcodeYXRrset, dns.RcodeNXRrset:
		return true, nil
	}
	return false, u.explain(u.apex, r.Rcode)
}

func names(sets map[set][]dns.RR) (out []string) {
	for s := range sets {
		out = append(out, s.name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// typesAt are the types of the sets at name.
func typesAt(sets map[set][]dns.RR, name string) (types []uint16) {
	for _, s := range slices.SortedFunc(maps.Keys(sets), order) {
		if s.name == name {
			types = append(types, s.rtype)
		}
	}
	return types
}
