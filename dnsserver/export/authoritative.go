package export

import (
	"fmt"
	"strings"
)

// The servers that load master files: each gets one file per zone and a stanza
// that names them.

func (j *job) bind() error {
	j.stanzas("named.conf.slipway",
		"// Zones of %s. Put the zone files into named's directory and\n// include this file from named.conf.\n",
		"zone \"%s\" {\n\ttype primary;\n\tfile \"%s\";\n};\n")
	return nil
}

func (j *job) knot() error {
	j.stanzas("knot.conf.slipway",
		"# Zones of %s. Put the zone files into Knot's storage directory and\n# include this file from knot.conf.\nzone:\n",
		"  - domain: %s\n    file: \"%s\"\n")
	return nil
}

func (j *job) nsd() error {
	j.stanzas("nsd.conf.slipway",
		"# Zones of %s. Put the zone files into NSD's zonesdir and include\n# this file from nsd.conf.\n",
		"zone:\n\tname: \"%s\"\n\tzonefile: \"%s\"\n")
	return nil
}

func (j *job) coredns() error {
	j.stanzas("Corefile.slipway",
		"# Zones of %s. Put the zone files into the directory CoreDNS runs in\n# and import this file from the Corefile.\n",
		"%s {\n\tfile %s\n}\n")
	return nil
}

// stanzas writes the configuration file, a head with the title and a stanza
// with name and file of each zone, then the master files.
func (j *job) stanzas(name, head, stanza string) {
	var b strings.Builder
	fmt.Fprintf(&b, head, j.title())
	for _, z := range j.zones {
		fmt.Fprintf(&b, stanza, relative(z.Name), z.fileName())
	}
	j.file(name, "%s", b.String())
	for _, z := range j.zones {
		j.file(z.fileName(), "%s", z.master())
	}
}

func (z zone) fileName() string {
	if z.Name == "." {
		return "root.zone"
	}
	return strings.ToLower(z.Name) + "zone"
}

// master is the zone as a master file (RFC 1035 5); all names are absolute.
func (z zone) master() string {
	var b strings.Builder
	fmt.Fprintln(&b, z.soa)
	for _, rr := range z.data {
		fmt.Fprintln(&b, rr)
	}
	return b.String()
}
