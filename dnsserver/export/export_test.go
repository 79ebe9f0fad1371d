package export

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/dnsserver"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// lab is what a cluster of two nodes asks of its DNS.
func lab() dnsserver.Config {
	zone := func(name string, records ...dnsserver.Record) dnsserver.Zone {
		return dnsserver.Zone{Name: name, Serial: 7, NS: "api.mycluster.lab.test.", TTL: 60, MinTTL: 10, Records: records}
	}
	return dnsserver.Config{Zones: []dnsserver.Zone{
		zone("mycluster.lab.test.",
			dnsserver.Record{Name: "api.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"},
			dnsserver.Record{Name: "api.mycluster.lab.test.", Type: "AAAA", Data: "2001:db8::210"},
			dnsserver.Record{Name: "api-int.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"},
			dnsserver.Record{Name: "*.apps.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"},
			dnsserver.Record{Name: "control-0.mycluster.lab.test.", Type: "A", Data: "192.0.2.201"},
			dnsserver.Record{Name: "worker-0.mycluster.lab.test.", Type: "A", TTL: 300, Data: "192.0.2.204"},
		),
		zone("2.0.192.in-addr.arpa.",
			dnsserver.Record{Name: "210.2.0.192.in-addr.arpa.", Type: "PTR", Data: "api.mycluster.lab.test."},
			dnsserver.Record{Name: "210.2.0.192.in-addr.arpa.", Type: "PTR", Data: "api-int.mycluster.lab.test."},
			dnsserver.Record{Name: "201.2.0.192.in-addr.arpa.", Type: "PTR", Data: "control-0.mycluster.lab.test."},
			dnsserver.Record{Name: "204.2.0.192.in-addr.arpa.", Type: "PTR", Data: "worker-0.mycluster.lab.test."},
		),
	}}
}

func labOptions() Options {
	return Options{
		Server: netip.MustParseAddrPort("192.0.2.210:53"), Interface: "eth0",
		Instead: []string{"console-openshift-console", "oauth-openshift"},
	}
}

func TestFormats(t *testing.T) {
	for _, name := range Formats() {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			if err := Write(&got, name, lab(), labOptions()); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A master file is read back as the zone it was made from, but for the records
// of the apex, which the file spells out.
func TestMasterFileIsTheZone(t *testing.T) {
	c := lab()
	c.Zones[0].Records = append(c.Zones[0].Records,
		dnsserver.Record{Name: "note.mycluster.lab.test.", Type: "TXT", TTL: 5, Data: `"it's \"quoted\"; $HOME"`},
		dnsserver.Record{Name: "_x._tcp.mycluster.lab.test.", Type: "SRV", TTL: 5, Data: "0 10 443 api.mycluster.lab.test."})
	e, err := Build("bind", c, Options{Serial: 1790000000})
	if err != nil {
		t.Fatal(err)
	}
	back, err := dnsserver.ParseZone(strings.NewReader(e.Files[1].Text), ".", e.Files[1].Name)
	if err != nil {
		t.Fatal(err)
	}
	want := c.Zones[0]
	want.Serial, want.TTL = 1790000000, 0
	want.Records = append([]dnsserver.Record{
		{Name: want.Name, Type: "SOA", TTL: 60, Data: "api.mycluster.lab.test. hostmaster.mycluster.lab.test. 1790000000 7200 900 1209600 10"},
		{Name: want.Name, Type: "NS", TTL: 60, Data: "api.mycluster.lab.test."},
	}, want.Records...)
	for i := range want.Records {
		if want.Records[i].TTL == 0 {
			want.Records[i].TTL = 60
		}
	}
	if diff := cmp.Diff(want, back); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWarnings(t *testing.T) {
	with := func(records ...dnsserver.Record) dnsserver.Config {
		c := lab()
		c.Zones = c.Zones[:1]
		c.Zones[0].Records = records
		return c
	}
	txt := dnsserver.Record{Name: "t.mycluster.lab.test.", Type: "TXT", Data: "x"}
	wild := dnsserver.Record{Name: "*.apps.mycluster.lab.test.", Type: "A", Data: "192.0.2.210"}
	tests := []struct {
		name, format string
		config       dnsserver.Config
		want         []string
	}{
		{"master files lose nothing", "bind", with(txt, wild), nil},
		{"unbound loses nothing in zones of names", "unbound", with(txt, wild), nil},
		{"dnsmasq has its own idea of wildcards", "dnsmasq", with(wild), []string{
			"dnsmasq answers NXDOMAIN, not an empty answer, to AAAA and HTTPS questions for names below apps.mycluster.lab.test: " +
				"resolvers that take that for all types (musl) find no address."}},
		{"dnsmasq gets addresses only", "dnsmasq", with(txt), []string{
			"dnsmasq has no place for records of type TXT: t.mycluster.lab.test. is left out."}},
		{"hosts files get addresses only, and no wildcards", "hosts", with(txt, wild), []string{
			"hosts has no place for records of type TXT: t.mycluster.lab.test. is left out.",
			"a hosts file has no wildcards: of the names below apps.mycluster.lab.test, console-openshift-console, oauth-openshift are listed; every other needs its own line."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Build(tt.format, tt.config, labOptions())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, e.Warnings); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, w := range tt.want {
				if !strings.Contains(e.Files[0].Text, "# Warning: "+w+"\n") {
					t.Errorf("the file does not say: %s", w)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	record := func(name, kind, data string) dnsserver.Config {
		c := lab()
		c.Zones[0].Records = []dnsserver.Record{{Name: name, Type: kind, Data: data}}
		return c
	}
	tests := []struct {
		name, format string
		config       dnsserver.Config
		options      Options
		want         string
	}{
		{"unknown format", "djbdns", lab(), Options{}, `format "djbdns" is not one of bind, knot, nsd, coredns, dnsmasq, pihole, unbound, hosts, resolved, resolver, nrpt`},
		{"no zones", "bind", dnsserver.Config{}, Options{}, "there is no zone to export"},
		{"a record that nobody loads", "bind", record("api.mycluster.lab.test.", "A", "192.0.2"), Options{},
			`zone mycluster.lab.test.: record api.mycluster.lab.test. A: the data "192.0.2": bad A A: "192.0.2"`},
		{"a name that is configuration", "dnsmasq", record(`a\010address=/x/.mycluster.lab.test.`, "A", "192.0.2.1"), Options{},
			`name "a\\010address=/x/.mycluster.lab.test.": '\\' cannot be exported: write letters, digits, - and _`},
		{"resolved without a server", "resolved", lab(), Options{Interface: "eth0"}, "format resolved: it needs the address of the server that answers"},
		{"resolved with an interface that is a command", "resolved", lab(), Options{Server: labOptions().Server, Interface: "e;reboot"}, `format resolved: "e;reboot" is no name of a network interface`},
		{"resolver without a server", "resolver", lab(), Options{}, "format resolver: it needs the address of the server that answers"},
		{"nrpt without a server", "nrpt", lab(), Options{}, "format nrpt: it needs the address of the server that answers"},
		{"nrpt at another port", "nrpt", lab(), Options{Server: netip.MustParseAddrPort("192.0.2.210:5353")}, "format nrpt: it needs port 53, the only one that Windows asks: the server is at 192.0.2.210:5353"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Build(tt.format, tt.config, tt.options)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
		})
	}
}

// Whatever a record says, it says it in lines of its own: a master file reads
// back as many records as went in, and nothing ends a quotation of unbound.
func FuzzRecordsStayRecords(f *testing.F) {
	f.Add("api", "TXT", `"x"`)
	f.Add("*.apps", "A", "192.0.2.1")
	f.Add("a", "TXT", `"'\nlocal-data: 'x"`)
	f.Fuzz(func(t *testing.T, label, kind, data string) {
		c := lab()
		c.Zones[0].Records = []dnsserver.Record{{Name: label + ".mycluster.lab.test.", Type: kind, Data: data}}
		master, err := Build("bind", c, Options{})
		if err != nil {
			return
		}
		text := master.Files[1].Text
		if back, err := dnsserver.ParseZone(strings.NewReader(text), ".", "zone"); err != nil || len(back.Records) != 3 {
			t.Errorf("%d records, error %v, of\n%s", len(back.Records), err, text)
		}
		local, err := Build("unbound", c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(local.Files[0].Text) {
			if strings.Contains(line, "local-data") && strings.Count(line, "'") != 2 {
				t.Errorf("line %q", line)
			}
		}
	})
}
