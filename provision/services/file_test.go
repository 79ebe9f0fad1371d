package services

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/dnsserver"
)

var plainAddresses = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestDocumentSurvivesTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.json")
	v := view("192.0.2.0/24", 3, 2)
	v.Upstream = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	want := Build(v)
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, plainAddresses); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestWriteRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Document)
		want   string
	}{
		{"owner that looks like an option", func(d *Document) { d.Owner = "--run-dir" }, `owner "--run-dir" is not a full cluster name`},
		{"other version", func(d *Document) { d.Version = 2 }, "version 2, want 1"},
		{"DNS on every address", func(d *Document) { d.DNS.Listen[0] = netip.MustParseAddrPort("0.0.0.0:53") }, `DNS address "0.0.0.0:53" is not that of one host`},
		{"record that is none", func(d *Document) { d.DNS.Zones[0].Records[0].Data = "192.0.2" }, "192.0.2"},
		{"member with a newline", func(d *Document) { d.Balancer.Frontends[0].Members[0].Name = "a\nb" }, `name "a\nb" is not a lower-case DNS label`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "services.json")
			d := Build(view("192.0.2.0/24", 3, 2))
			tt.change(&d)
			if err := Write(path, d); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("a file is there")
			}
		})
	}
}

func TestReadIsStrict(t *testing.T) {
	good, err := json.Marshal(Build(view("192.0.2.0/24", 1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text, want string }{
		{"unknown field", strings.Replace(string(good), `"serial"`, `"password":"x","serial"`, 1), `json: unknown field "password"`},
		{"newer version", strings.Replace(string(good), `"version":1`, `"version":2,"new":[]`, 1), "version 2, want 1"},
		{"cut", string(good[:len(good)/2]), "unexpected end of JSON input"},
		{"something after it", string(good) + "{}", "invalid character '{' after top-level value"},
		{"not a document", "[]", "json: cannot unmarshal array into Go value of type struct { Version int \"json:\\\"version\\\"\" }"},
		{"empty", "", "unexpected end of JSON input"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "services.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Read(path)
			if want := "services document " + path + ": " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	good, _ := json.Marshal(Build(view("192.0.2.0/24", 1, 0)))
	f.Add(good)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parse(b)
		if err != nil {
			return
		}
		if d.Version != DocumentVersion || d.Owner == "" {
			t.Errorf("accepted %+v", d)
		}
		s := dnsserver.New(dnsserver.Options{Log: 1})
		defer s.Close()
		d.DNS.Listen = nil
		if err := s.Set(d.DNS); err != nil {
			t.Errorf("accepted what DNS refuses: %v", err)
		}
	})
}
