package update

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// script is an update as nsupdate reads it; empty when it changes nothing.
func script(m *dns.Msg) string {
	if len(m.Ns) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "zone %s\n", m.Question[0].Name)
	for _, rr := range m.Answer {
		fmt.Fprintf(&b, "prereq %s\n", prerequisite(rr))
	}
	for _, rr := range m.Ns {
		verb, ttl := "add", fmt.Sprint(" ", rr.Header().Ttl)
		if rr.Header().Class == dns.ClassNONE {
			verb, ttl = "delete", ""
		}
		fmt.Fprintf(&b, "update %s %s%s %s\n", verb, rr.Header().Name, ttl, typed(rr))
	}
	return b.String() + "send\n"
}

// prerequisite is one of RFC 2136 2.4, of those that we use.
func prerequisite(rr dns.RR) string {
	h := rr.Header()
	switch {
	case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY:
		return "nxdomain " + h.Name
	case h.Class == dns.ClassNONE:
		return fmt.Sprintf("nxrrset %s %s", h.Name, dns.Type(h.Rrtype))
	}
	return fmt.Sprintf("yxrrset %s %s", h.Name, typed(rr))
}

func typed(rr dns.RR) string {
	return dns.Type(rr.Header().Rrtype).String() + " " + strings.TrimPrefix(rr.String(), rr.Header().String())
}
