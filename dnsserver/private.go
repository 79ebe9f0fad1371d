package dnsserver

import (
	"fmt"
	"sync"
)

// private returns the table of the reverse zones that mean something else at
// every site: answered as empty here, never sent upstream (RFC 6303, RFC 7793).
// A zone of the Config inside one of them is found first.
var private = sync.OnceValue(func() *table {
	t := &table{zones: map[wireName]*zone{}}
	for _, name := range privateZones() {
		z, err := compileZone(Zone{Name: name, Serial: 1, NS: name, TTL: 10800, MinTTL: 10800})
		if err != nil {
			panic(err) // a constant above is wrong
		}
		t.zones[z.apex] = z
	}
	return t
})

func privateZones() []string {
	zones := []string{
		"10.in-addr.arpa.", "168.192.in-addr.arpa.", "0.in-addr.arpa.", "127.in-addr.arpa.", "254.169.in-addr.arpa.",
		"2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.", "255.255.255.255.in-addr.arpa.",
		"d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
	}
	for i := 16; i < 32; i++ {
		zones = append(zones, fmt.Sprintf("%d.172.in-addr.arpa.", i))
	}
	for i := 64; i < 128; i++ {
		zones = append(zones, fmt.Sprintf("%d.100.in-addr.arpa.", i))
	}
	return zones
}
