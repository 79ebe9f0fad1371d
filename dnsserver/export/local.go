package export

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// The resolvers with local data. None of them is given our reverse zones
// whole: the names of other machines in the same network stay theirs.

func (j *job) dnsmasq() error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Names of %s, for a file in /etc/dnsmasq.d.\n", j.title())
	for _, line := range j.dnsmasqLines() {
		fmt.Fprintln(&b, line)
	}
	j.file("slipway-"+j.title()+".conf", "%s", b.String())
	return nil
}

func (j *job) dnsmasqLines() (lines []string) {
	for _, z := range j.zones {
		if !z.reverse() {
			lines = append(lines, "local=/"+relative(z.Name)+"/")
		}
		for _, rr := range z.data {
			lines = append(lines, j.dnsmasqLine(rr)...)
		}
	}
	return lines
}

func (j *job) dnsmasqLine(rr dns.RR) []string {
	a, isAddress := address(rr)
	parent, isWild := wildcard(rr)
	ptr, isPTR := rr.(*dns.PTR)
	h := rr.Header()
	switch {
	case isAddress && isWild:
		j.warn("dnsmasq answers NXDOMAIN, not an empty answer, to AAAA and HTTPS questions for names below %s: "+
			"resolvers that take that for all types (musl) find no address.", relative(parent))
		return []string{"address=/" + relative(parent) + "/" + a}
	case isAddress:
		return []string{"host-record=" + relative(h.Name) + "," + a + "," + strconv.Itoa(int(h.Ttl))}
	case isPTR:
		return []string{"ptr-record=" + relative(h.Name) + "," + relative(ptr.Ptr)}
	}
	j.leftOut(rr, "dnsmasq")
	return nil
}

// pihole writes the arrays of pihole.toml that Pi-hole 6 reads.
func (j *job) pihole() error {
	var hosts, lines []string
	for _, line := range j.dnsmasqLines() {
		if record, ok := strings.CutPrefix(line, "host-record="); ok {
			part := strings.Split(record, ",")
			hosts = append(hosts, part[1]+" "+part[0])
		} else if !strings.HasPrefix(line, "ptr-record=") { // made of the hosts
			lines = append(lines, line)
		}
	}
	j.file("slipway-"+j.title()+".toml", "# Names of %s: add the elements to the arrays of /etc/pihole/pihole.toml.\n[dns]\n%s\n[misc]\n%s",
		j.title(), tomlArray("hosts", hosts), tomlArray("dnsmasq_lines", lines))
	return nil
}

func tomlArray(name string, elements []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s = [\n", name)
	for _, e := range elements {
		fmt.Fprintf(&b, "  %q,\n", e)
	}
	return b.String() + "]\n"
}

// hosts writes a block for /etc/hosts, between markers by which it is found
// again: a line for each address, its names in the order of the zones.
func (j *job) hosts() error {
	var addresses []string
	names := map[string][]string{}
	for _, z := range j.zones {
		for _, rr := range z.data {
			a, here := j.hostsEntry(rr)
			if len(here) > 0 && names[a] == nil {
				addresses = append(addresses, a)
			}
			names[a] = append(names[a], here...)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# BEGIN slipway %s\n", j.title())
	for _, a := range addresses {
		fmt.Fprintf(&b, "%s %s\n", a, strings.Join(names[a], " "))
	}
	fmt.Fprintf(&b, "# END slipway %s\n", j.title())
	j.file("slipway-"+j.title()+".hosts", "%s", b.String())
	return nil
}

// hostsEntry is the address of a record and the names that it gives it. PTR
// records go without saying.
func (j *job) hostsEntry(rr dns.RR) (a string, names []string) {
	a, ok := address(rr)
	if ok {
		return a, j.concrete(rr)
	}
	if rr.Header().Rrtype != dns.TypePTR {
		j.leftOut(rr, "hosts")
	}
	return "", nil
}

// concrete lists the names of a record in a format without wildcards.
func (j *job) concrete(rr dns.RR) []string {
	parent, ok := wildcard(rr)
	if !ok {
		return []string{relative(rr.Header().Name)}
	}
	j.warn("a hosts file has no wildcards: of the names below %s, %s are listed; every other needs its own line.",
		relative(parent), known(j.Instead))
	var names []string
	for _, label := range j.Instead {
		names = append(names, label+"."+relative(parent))
	}
	return names
}

func known(labels []string) string {
	if len(labels) == 0 {
		return "none"
	}
	return strings.Join(labels, ", ")
}

// unbound writes local zones. A wildcard is a zone of type redirect, which
// answers for everything at and below its name; a name below it with data of
// its own needs a zone of its own.
func (j *job) unbound() error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Names of %s, for a file in /etc/unbound/unbound.conf.d.\nserver:\n", j.title())
	for _, z := range j.zones {
		if z.reverse() {
			for _, rr := range z.data {
				j.unboundReverse(&b, rr)
			}
			continue
		}
		z.unbound(&b)
	}
	j.file("slipway-"+j.title()+".conf", "%s", b.String())
	return nil
}

func (j *job) unboundReverse(b *strings.Builder, rr dns.RR) {
	if rr.Header().Rrtype == dns.TypePTR {
		fmt.Fprint(b, localData(rr))
		return
	}
	j.leftOut(rr, "unbound, in zones of addresses,")
}

func (z zone) unbound(b *strings.Builder) {
	localZone(b, z.Name, "static")
	fmt.Fprint(b, localData(z.soa))
	redirects := z.redirects()
	for _, parent := range redirects {
		localZone(b, parent, "redirect")
		fmt.Fprint(b, localData(at(parent, z.soa)))
	}
	var own []string
	for _, rr := range z.data {
		name := rr.Header().Name
		if parent, ok := wildcard(rr); ok {
			rr = at(parent, rr)
		} else if below(name, redirects) && !slices.Contains(own, name) {
			own = append(own, name)
			localZone(b, name, "static")
		}
		fmt.Fprint(b, localData(rr))
	}
}

// redirects are the names below which wildcards answer.
func (z zone) redirects() (parents []string) {
	for _, rr := range z.data {
		if parent, ok := wildcard(rr); ok && !slices.Contains(parents, parent) {
			parents = append(parents, parent)
		}
	}
	return parents
}

func below(name string, parents []string) bool {
	return slices.ContainsFunc(parents, func(p string) bool { return name != p && dns.IsSubDomain(p, name) })
}

func localZone(b *strings.Builder, name, kind string) {
	fmt.Fprintf(b, "\tlocal-zone: \"%s\" %s\n", name, kind)
}

// localData quotes by ', which in the data of a record is written as \039.
func localData(rr dns.RR) string {
	text := strings.Join(strings.Fields(rr.Header().String()), " ") + " " + strings.TrimPrefix(rr.String(), rr.Header().String())
	return "\tlocal-data: '" + strings.ReplaceAll(text, "'", `\039`) + "'\n"
}

// at is rr under another name.
func at(name string, rr dns.RR) dns.RR {
	moved := dns.Copy(rr)
	moved.Header().Name = name
	return moved
}
