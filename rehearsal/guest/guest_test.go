package guest

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/rehearsal/node"
)

var sample = Spec{
	Name: "control-0.mycluster.lab.test", CPUs: 4, Memory: 16384, Disk: 120, Boot: []string{"disk", "cd"}, Speed: 100,
	Site: netip.MustParseAddrPort("169.254.1.1:2379"), Address: netip.MustParsePrefix("169.254.1.2/24"),
}

// structure is an SMBIOS structure of type 11 with the given strings.
func structure(texts ...string) []byte {
	return append([]byte{11, 5, 0, 0x0e, byte(len(texts))}, strings.Join(texts, "\x00")+"\x00\x00"...)
}

func TestSpecTravelsInSMBIOS(t *testing.T) {
	got, err := parseOEM(structure("another", sample.OEMString()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestSpecIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "SMBIOS structure: too short"},
		{"cut", []byte{11, 200, 0}, "SMBIOS structure: too short"},
		{"another machine", structure("something"), "no SMBIOS OEM string describes this machine"},
		{"rubbish", structure(oemPrefix + "{"), "SMBIOS OEM string: unexpected end of JSON input"},
	} {
		if _, err := parseOEM(tt.in); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func FuzzParseOEM(f *testing.F) {
	f.Add(structure(sample.OEMString()))
	f.Add([]byte{11, 5, 0, 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) { _, _ = parseOEM(in) })
}

// A disk boots once it is written whole, and has the system after a power cut.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	path, cd := filepath.Join(dir, "disk"), filepath.Join(dir, "cd")
	image := bytes.Repeat([]byte("boots"), block/2)
	for name, data := range map[string][]byte{path: nil, cd: image} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, DiskSize); err != nil {
		t.Fatal(err)
	}
	d, err := openDisk(path, cd)
	if err != nil || d.System() != nil {
		t.Fatalf("a blank disk has %v, %v", d.System(), err)
	}
	if err := d.Install(t.Context(), node.System{Ignition: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(got, image) {
		t.Errorf("the disk does not begin with the image: %v", err)
	}
	if d, err = openDisk(path, cd); err != nil || string(d.System().Ignition) != "{}" {
		t.Fatalf("installed: %v, %v", d.System(), err)
	}
	raw := disk{path, cd}
	if err := raw.Save(nil); err != nil {
		t.Fatal(err)
	}
	if d, err = openDisk(path, cd); err != nil || d.System() != nil {
		t.Errorf("wiped: %v, %v", d.System(), err)
	}
	if err := raw.Save(make([]byte, block)); err == nil || err.Error() != "the installed system has no room" {
		t.Error(err)
	}
	if _, err := openDisk(filepath.Join(dir, "none"), cd); err == nil {
		t.Error("a disk that is missing is opened")
	}
}
