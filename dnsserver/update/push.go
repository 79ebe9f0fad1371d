package update

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/internal/hint"
)

// A Target is the server to update.
type Target struct {
	Server netip.AddrPort
	Key    Key
	// DryRun reads, and sends no update. Where the target does not hand out whole
	// zones it cannot see conflicts.
	DryRun bool
}

// Counts are record sets.
type Counts struct {
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Removed   int `json:"removed"`
	Unchanged int `json:"unchanged"`
}

// A ZoneSummary is what was done in one zone of the server.
type ZoneSummary struct {
	Zone string `json:"zone"`
	Counts
	// Whole says that the server handed out the whole zone. Otherwise only the
	// names of the spec were looked at: those of an earlier one stay.
	Whole bool `json:"whole"`
	// Update is what was sent, or would have been, as nsupdate reads it; empty
	// when everything was as it should be.
	Update string `json:"update,omitempty"`
}

// A Summary lists the zones of the server that were looked at.
type Summary struct {
	Zones []ZoneSummary `json:"zones"`
}

// Push makes the records of zones be on the target, with owner's mark, and
// removes what else carries it: one atomic update for each zone of the target,
// none where all is as it should be. The target's zone may be of the same name
// or a wider one; SOA records, and NS records of the apex, stay the target's.
//
// A zone that cannot be updated does not keep the others from it. Foreign
// records in the way are a [ConflictError], and nothing of that zone is done.
// Push may be repeated at any time.
func Push(ctx context.Context, t Target, zones []dnsserver.Zone, owner string) (Summary, error) {
	return each(ctx, t, zones, owner, func(want map[set][]dns.RR) map[set][]dns.RR { return want })
}

// Remove takes out of the target what carries owner's mark in the zones that
// hold these; where the target does not hand out whole zones, at the names of
// these. A record already gone is no error.
func Remove(ctx context.Context, t Target, zones []dnsserver.Zone, owner string) (Summary, error) {
	return each(ctx, t, zones, owner, func(map[set][]dns.RR) map[set][]dns.RR { return nil })
}

// each does the zones of the target that hold ours, one after the other, those
// that are in the same one together. aim says what of the records that the
// zones have is to be there in the end.
func each(ctx context.Context, t Target, zones []dnsserver.Zone, owner string, aim func(map[set][]dns.RR) map[set][]dns.RR) (Summary, error) {
	if owner == "" {
		return Summary{}, errors.New("no owner is named")
	}
	if _, err := wanted(zones); err != nil {
		return Summary{}, err
	}
	s, err := open(ctx, t)
	if err != nil {
		return Summary{}, err
	}
	defer s.close()
	held, problems := s.locateAll(ctx, zones)
	var sum Summary
	for _, z := range held {
		have, err := wanted(z.ours)
		if err != nil {
			return sum, err
		}
		u := &zoneUpdate{session: s, apex: z.apex, owner: owner, look: have, want: aim(have), dry: t.DryRun}
		done, err := u.do(ctx)
		problems = append(problems, err)
		if err == nil {
			sum.Zones = append(sum.Zones, done)
		}
	}
	return sum, joined(problems)
}

// A holder is a zone of the target with those of ours that are in it.
type holder struct {
	apex string
	ours []dnsserver.Zone
}

func (s *session) locateAll(ctx context.Context, zones []dnsserver.Zone) (held []holder, problems []error) {
	for _, z := range zones {
		apex, err := s.locate(ctx, z.Name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		i := slices.IndexFunc(held, func(h holder) bool { return h.apex == apex })
		if i < 0 {
			i, held = len(held), append(held, holder{apex: apex})
		}
		held[i].ours = append(held[i].ours, z)
	}
	return held, problems
}

// joined joins errors and keeps the first advice, which joining would hide.
func joined(problems []error) error {
	err := errors.Join(problems...)
	for _, p := range problems {
		if advice := hint.Of(p); advice != "" {
			return hint.With(err, advice)
		}
	}
	return err
}

// wanted reads the records of the zones, but for those that are the server's
// own: SOA, and NS of the apex.
func wanted(zones []dnsserver.Zone) (map[set][]dns.RR, error) {
	want := map[set][]dns.RR{}
	var problems []error
	for _, z := range zones {
		for _, r := range z.Records {
			rr, err := record(z, r)
			if err != nil {
				problems = append(problems, fmt.Errorf("record %s %s: %w", r.Name, r.Type, err))
				continue
			}
			s := setOf(rr)
			apex := s.name == dns.CanonicalName(z.Name)
			if s.rtype != dns.TypeSOA && (s.rtype != dns.TypeNS || !apex) {
				want[s] = append(want[s], rr)
			}
		}
	}
	return want, errors.Join(problems...)
}

func record(z dnsserver.Zone, r dnsserver.Record) (dns.RR, error) {
	if !dns.IsFqdn(r.Name) || !dns.IsSubDomain(z.Name, r.Name) {
		return nil, fmt.Errorf("the name is not in zone %s", z.Name)
	}
	if r.Type == "CNAME" {
		return nil, errors.New("a name with a CNAME record has no room for the owner's mark")
	}
	ttl := r.TTL
	if ttl == 0 {
		ttl = z.TTL
	}
	// A record of the root: the name never meets the parser.
	p := dns.NewZoneParser(strings.NewReader(fmt.Sprintf(". %d IN %s %s\n", ttl, r.Type, r.Data)), z.Name, "")
	rr, ok := p.Next()
	if err := p.Err(); err != nil || !ok {
		return nil, errors.Join(err, errors.New("its data cannot be read"))
	}
	rr.Header().Name = r.Name
	return rr, nil
}
