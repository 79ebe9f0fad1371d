package dnsserver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseZone(t *testing.T) {
	got, err := ParseZone(strings.NewReader(`$ORIGIN lab.test.
$TTL 300
@        3600 IN SOA ns1 hostmaster ( 7 7200 900
                     1209600 60 ) ; timers
@        IN NS   ns1
ns1   60 IN A    192.0.2.210
*.apps   IN A    192.0.2.211
note     IN TXT  "two" "with \"quotes\" and ;"
odd      IN TYPE65280 \# 2 0102
$GENERATE 1-2 worker-$ 300 A 192.0.2.$
`), "", "lab.zone")
	if err != nil {
		t.Fatal(err)
	}
	want := Zone{Name: "lab.test.", Serial: 7, NS: "ns1.lab.test.", MinTTL: 60, Records: []Record{
		{"lab.test.", "SOA", 3600, "ns1.lab.test. hostmaster.lab.test. 7 7200 900 1209600 60"},
		{"lab.test.", "NS", 300, "ns1.lab.test."},
		{"ns1.lab.test.", "A", 60, "192.0.2.210"},
		{"*.apps.lab.test.", "A", 300, "192.0.2.211"},
		{"note.lab.test.", "TXT", 300, `"two" "with \"quotes\" and ;"`},
		{"odd.lab.test.", "TYPE65280", 300, `\# 2 0102`},
		{"worker-1.lab.test.", "A", 300, "192.0.2.1"},
		{"worker-2.lab.test.", "A", 300, "192.0.2.2"},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseZoneSaysWhereItIsWrong(t *testing.T) {
	const soa = "@ 1 SOA ns h 1 2 3 4 5\n"
	for _, c := range []struct{ about, text, want string }{
		{"bad address", soa + "a 1 A 192.0.2\n", `lab.zone: dns: bad A A: "192.0.2" at line: 2:13`},
		{"no SOA", "a 1 A 192.0.2.1\n", "lab.zone: no SOA record"},
		{"two SOA records", soa + soa, "lab.zone: more than one SOA record"},
		{"another class", soa + "a 1 CH TXT x\n", "lab.zone: a.lab.test.: class CH is not served"},
		{"other files", soa + "$INCLUDE /etc/hosts\n", `lab.zone: dns: $INCLUDE directive not allowed: "/etc/hosts" at line: 2:19`},
	} {
		_, err := ParseZone(strings.NewReader(c.text), "lab.test.", "lab.zone")
		if d := cmp.Diff(c.want, fmt.Sprint(err)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.about, d)
		}
	}
}
