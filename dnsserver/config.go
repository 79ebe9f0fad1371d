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
	Upstreams []netip.AddrPort `json:"upstreams"`
	Allow     []netip.Prefix   `json:"allow"` // clients; loopback is always allowed
}
