package export

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/dhcpserver"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// network has one reservation with an address and, when mixed, one without.
func network(mixed bool) Network {
	n := Network{CIDR: netip.MustParsePrefix("192.0.2.0/24"), Domain: "mycluster.lab.test", Reservations: []dhcpserver.Reservation{
		{Name: "control-0", MAC: dhcpserver.MAC{2, 0, 0, 0, 0xab, 1}, Address: netip.MustParseAddr("192.0.2.201")},
		{Name: "control-1", MAC: dhcpserver.MAC{2, 0, 0, 0, 0xab, 2}, Address: netip.MustParseAddr("192.0.2.202")},
	}}
	if mixed {
		n.Reservations[1].Address = netip.Addr{}
	}
	return n
}

func TestRender(t *testing.T) {
	for _, name := range Formats() {
		for suffix, mixed := range map[string]bool{"": false, "-names": true} {
			t.Run(name+suffix, func(t *testing.T) {
				got, where, err := Render(name, network(mixed))
				if mixed && errors.Is(err, ErrNeedsAddress) {
					return // that it must not happen elsewhere is said by the golden files
				}
				if err != nil || where == "" {
					t.Fatalf("%v, where %q", err, where)
				}
				golden := filepath.Join("testdata", name+suffix+".golden")
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

// Only the two that reserve nothing but addresses refuse a name alone.
func TestNamesAlone(t *testing.T) {
	for _, name := range Formats() {
		_, _, err := Render(name, network(true))
		if refuses := name == "mikrotik" || name == "unifi"; errors.Is(err, ErrNeedsAddress) != refuses {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Render("windows", network(false)); err == nil || !strings.Contains(err.Error(), `format "windows" is not one of dnsmasq, isc,`) {
		t.Errorf("unknown format: %v", err)
	}
}

// The forms that have a grammar are read back by a parser of it.
func TestRenderIsWellFormed(t *testing.T) {
	text, _, err := Render("kea", network(false))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(text, "\n") // Kea takes comments, JSON does not
	var subnet struct {
		Reservations []map[string]string `json:"reservations"`
	}
	if err := json.Unmarshal([]byte("{"+body+"}"), &subnet); err != nil || len(subnet.Reservations) != 2 {
		t.Errorf("kea: %v in %s", err, body)
	}
	text, _, err = Render("pfsense", network(false))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("pfsense: %v in %s", err, text)
		}
	}
}
