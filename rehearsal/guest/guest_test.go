package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/kdomanski/iso9660"

	"github.com/slipway-project/slipway/rehearsal/node"
)

var sample = Spec{
	Name: "control-0.mycluster.lab.test", CPUs: 4, Memory: 16384, Disk: 120, Boot: []string{"disk", "cd"},
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
	if diff := cmp.Diff(sample, got); diff != "" {
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

// The image describes the machines that carry something else.
func TestWorldIsOnTheImage(t *testing.T) {
	id := uuid.MustParse("6c1a9a2e-63a5-4a4a-9a53-90d1b5e3a001")
	want := World{Site: netip.MustParseAddrPort("198.51.100.9:2379"), Speed: 100, Machines: map[uuid.UUID]Spec{id: sample}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readWorld(imageWith(t, WorldISO, text))
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); err != nil || diff != "" {
		t.Fatalf("%v, world (-want +got):\n%s", err, diff)
	}
	carried := Spec{Name: "another"}
	for _, tt := range []struct {
		name string
		id   uuid.UUID
		oem  []byte
		want Spec
		err  string
	}{
		{"carries its own", id, structure(carried.OEMString()), carried, ""},
		{"carries another mark", id, structure("slipway-mark-v1"), sample, ""},
		{"unknown", uuid.Nil, structure("slipway-mark-v1"), Spec{},
			"no SMBIOS OEM string describes this machine, and the image knows no machine 00000000-0000-0000-0000-000000000000"},
	} {
		s, err := got.describe(tt.id, tt.oem)
		if diff := cmp.Diff(tt.want, s); diff != "" || err == nil != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%s: %v, spec (-want +got):\n%s", tt.name, err, diff)
		}
	}
	if _, err := readWorld(imageWith(t, "images/config.ign", text)); err == nil || !strings.HasSuffix(err.Error(), "no images/world.json in the image: world.json does not exist") {
		t.Errorf("an image without a world: %v", err)
	}
}

func imageWith(t *testing.T, name string, content []byte) (path string) {
	t.Helper()
	w, err := iso9660.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "image.iso"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.AddFile(bytes.NewReader(content), name), w.WriteTo(f, "test"), w.Cleanup(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
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
