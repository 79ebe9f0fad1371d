package dnsserver

import "net/netip"

// A Config is what a [Server] serves: zones of records, and who may have
// foreign names looked up. It marshals to JSON and back without loss.
type Config struct {
	// Listen are the explicit addresses to answer on, UDP and TCP each.
	Listen []netip.AddrPort `json:"listen"`
	Zones  []Zone           `json:"zones"`
	// Forward looks up names outside the zones; nil refuses them.
	Forward *Forward `json:"forward,omitempty"`
	// Transfer hands whole zones to other servers; nil refuses that.
	Transfer *Transfer `json:"transfer,omitempty"`
	// RateLimit bounds how often a network gets the same answer; nil does not.
	RateLimit *RateLimit `json:"rate_limit,omitempty"`
}

// A Zone is one authoritative zone. Its SOA record and the NS record of its
// apex are made from the fields, unless Records has them: an SOA record must
// then agree with the fields, and brings its TTL, mailbox and timers.
type Zone struct {
	Name    string   `json:"name"`    // absolute, with the final dot: mycluster.lab.test.
	Serial  uint32   `json:"serial"`  // SOA serial; must grow when records change
	NS      string   `json:"ns"`      // absolute name of the server
	TTL     uint32   `json:"ttl"`     // seconds, for records without their own
	MinTTL  uint32   `json:"min_ttl"` // seconds negative answers live (RFC 2308)
	Records []Record `json:"records"`
}

// A Record is one resource record in presentation form.
type Record struct {
	Name string `json:"name"` // absolute; a leading * label is a wildcard (RFC 4592)
	Type string `json:"type"` // A, AAAA, PTR, CNAME, SRV, TXT, NS ...
	TTL  uint32 `json:"ttl,omitempty"`
	Data string `json:"data"` // as in a master file
}

// A Forward says who looks up foreign names, for whom.
type Forward struct {
	// Upstreams are asked in this order; in the place of systemd-resolved's
	// stub its own servers are.
	Upstreams []netip.AddrPort `json:"upstreams"`
	Allow     []netip.Prefix   `json:"allow"` // clients; loopback is always allowed
	// Stale is for how many seconds an answer may be used after its time when
	// no upstream gives a newer one (RFC 8767, which suggests 1 to 3 days).
	Stale uint32 `json:"stale,omitempty"`
}

// A Transfer says who may have whole zones by AXFR (RFC 5936): clients of
// these networks, and whoever signs with one of these keys. The secrets of the
// keys are not in the Config; [Options] has them.
type Transfer struct {
	Allow []netip.Prefix `json:"allow,omitempty"`
	Keys  []string       `json:"keys,omitempty"` // absolute names of TSIG keys (RFC 8945)
}

// A RateLimit bounds the answers of one kind that one network (/24, or /56 of
// IPv6) gets over UDP. Of those beyond, every other one is sent, without
// records and marked as truncated, so that real clients ask again over TCP.
type RateLimit struct {
	PerSecond int            `json:"per_second"`       // 0: no limit
	Exempt    []netip.Prefix `json:"exempt,omitempty"` // beside loopback
}
