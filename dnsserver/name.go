package dnsserver

import (
	"fmt"

	"github.com/miekg/dns"
)

// A wire name is a domain name as in a packet, uncompressed and in lower case:
// the key of every table. The bytes of a string, so that it compares and slices.
type wireName string

const root wireName = "\x00"

// toWire reads an absolute name in presentation form.
func toWire(text string) (wireName, error) {
	packed, err := pack(text)
	return fold(packed), err
}

func pack(text string) ([]byte, error) {
	if !dns.IsFqdn(text) {
		return nil, fmt.Errorf("%q is not an absolute domain name: it ends without a dot", text)
	}
	var buf [256]byte
	n, err := dns.PackDomainName(text, buf[:], 0, nil, false)
	if _, ok := dns.IsDomainName(text); !ok || err != nil || n > 255 {
		return nil, fmt.Errorf("%q is not a domain name", text)
	}
	return buf[:n], nil
}

// fold lowers the letters A-Z and nothing else (RFC 4343); length octets are
// below 64 and stay as they are.
func fold(b []byte) wireName {
	low := make([]byte, len(b))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return wireName(low)
}

// text is n in presentation form.
func (n wireName) text() string {
	s, _, err := dns.UnpackDomainName([]byte(n), 0)
	if err != nil {
		return "?" // not reached: wire names are checked when made
	}
	return s
}

// parent cuts the leftmost label; n must not be the root.
func (n wireName) parent() wireName { return n[1+int(n[0]):] }

// within reports whether n is zone or lies below it.
func (n wireName) within(zone wireName) bool {
	for len(n) > len(zone) {
		n = n.parent()
	}
	return n == zone
}

// mustWire is for names out of packets and out of records that were packed
// once already: they cannot be wrong.
func mustWire(text string) wireName {
	w, err := toWire(text)
	if err != nil {
		panic(err)
	}
	return w
}
