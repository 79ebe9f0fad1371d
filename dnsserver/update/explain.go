package update

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/hint"
)

// explainKey says what the server found wrong with our signature (RFC 8945
// 5.2).
func (s *session) explainKey(tsig *dns.TSIG) error {
	err := func(format string, args ...any) error {
		return fmt.Errorf("DNS server %s: %w", s.server, fmt.Errorf(format, args...))
	}
	switch tsig.Error {
	case dns.RcodeBadKey:
		return hint.With(err("it does not know key %s with %s (BADKEY)", s.key.Name, s.key.Algorithm),
			"give the server a key of that name and algorithm, or the name it knows to us: BIND `key`, Knot `key:`")
	case dns.RcodeBadSig:
		return hint.With(err("it has another secret for key %s (BADSIG)", s.key.Name),
			"the secret from "+s.key.Secret.Origin()+" is not the server's")
	case dns.RcodeBadTime:
		return hint.With(err("its clock and ours differ by more than %d s (BADTIME)%s", fudge, skew(tsig)),
			"set both clocks, by NTP or chrony")
	}
	return err("it refuses the signature of key %s (%s)", s.key.Name, dns.RcodeToString[int(tsig.Error)])
}

// skew tells by how much, where the server said its time.
func skew(tsig *dns.TSIG) string {
	clock, err := hex.DecodeString(tsig.OtherData)
	if err != nil || len(clock) != 6 {
		return ""
	}
	var theirs int64
	for _, b := range clock {
		theirs = theirs<<8 | int64(b)
	}
	return fmt.Sprintf(": it has %s", time.Unix(theirs, 0).UTC().Format(time.RFC3339))
}

// explain says why the server did not take an update of the zone.
func (s *session) explain(zone string, rcode int) error {
	err := fmt.Errorf("DNS server %s answers %s to an update of zone %s", s.server, dns.RcodeToString[rcode], zone)
	switch rcode {
	case dns.RcodeRefused:
		return hint.With(err, fmt.Sprintf("let key %s change the zone: BIND `update-policy { grant %s zonesub ANY; };`, Knot `acl` with `action: [update, transfer]`, PowerDNS metadata TSIG-ALLOW-DNSUPDATE", s.key.Name, s.key.Name))
	case dns.RcodeNotAuth, dns.RcodeNotZone:
		return hint.With(err, "the server is not the primary of the zone, or its rules leave the key out: send updates to the primary; Knot: `acl` with `action: [update, transfer]` for the key")
	case dns.RcodeNotImplemented:
		return hint.With(err, "the server takes no dynamic updates (PowerDNS: dnsupdate=yes): use `slipway dns export`")
	case dns.RcodeServerFailure:
		return hint.With(err, "look into its log; it must be able to write its journal: BIND beside the zone file, Knot in the database storage")
	}
	return err
}

// unheld says that the server has no zone for a name of ours.
func (s *session) unheld(name string, r *dns.Msg) error {
	elsewhere := ""
	if r.Rcode == dns.RcodeSuccess && r.RecursionAvailable {
		elsewhere = ": it looks names up elsewhere"
	}
	err := fmt.Errorf("DNS server %s holds no zone for %s (%s)%s", s.server, name, dns.RcodeToString[r.Rcode], elsewhere)
	return hint.With(err, "add a zone of that name, or of a parent of it, to the server, and let the key update it; it may be empty but for SOA and NS")
}
