package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/internal/testbed"
)

func needTools(t *testing.T) {
	t.Helper()
	for _, tool := range []string{qemu.Program, "xorriso", "apt-get", "dpkg-deb"} {
		testbed.Program(t, tool)
	}
}

// built is an image whose program is testdata/init, an empty disk, and one that
// the image was copied to.
func built(t *testing.T) (iso, blank, installed string) {
	t.Helper()
	needTools(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "init")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "./testdata/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	base, err := Build(t.Context(), program, testbed.Cache(t), filepath.Join(dir, "base"))
	if err != nil {
		t.Fatal(err)
	}
	iso = filepath.Join(dir, "t.iso")
	if err := base.Write(t.Context(), iso, map[string][]byte{"images/config.ign": []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(iso)
	if err != nil || !bytes.Contains(image, []byte("rhcos-live")) {
		t.Fatalf("the volume is not named: %v", err)
	}
	blank, installed = filepath.Join(dir, "blank.raw"), filepath.Join(dir, "installed.raw")
	for path, content := range map[string][]byte{blank: make([]byte, 1<<20), installed: image} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return iso, blank, installed
}

// The image boots on BIOS, from CD and, copied to a disk, from there; its
// program sees network, disk and CD. On UEFI it does so nightly.
func TestImageBoots(t *testing.T) {
	iso, blank, installed := built(t)
	for name, v := range map[string]qemu.VM{
		"from CD":   guestOf(t, blank, iso),
		"from disk": guestOf(t, installed, ""),
	} {
		t.Run(name, func(t *testing.T) { seesHardware(t, boot(t, v)) })
	}
}

// guestOf is a machine with that disk and that CD.
func guestOf(t *testing.T, disk, cd string) qemu.VM {
	t.Helper()
	return qemu.VM{
		Name: "guest", UUID: uuid.New(), CPUs: 1, Memory: 192, Accel: qemu.TCG, Dir: t.TempDir(),
		Disks: []qemu.Disk{{Path: disk, Format: "raw"}}, Media: cd, NICs: []qemu.NIC{{MAC: []byte{2, 0, 0, 0, 0, 1}}},
	}
}

// seesHardware reads what testdata/init says.
func seesHardware(t *testing.T, said string) {
	t.Helper()
	for _, want := range []string{"/sys/class/net/eth0", "/sys/block/vda"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not see %s: %s", want, said)
		}
	}
	if strings.Contains(said, "not prepared:") {
		t.Error(said)
	}
}

// boot runs v until it resets, and returns what it wrote to its console.
func boot(t *testing.T, v qemu.VM) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, qemu.Program, v.Args()...).CombinedOutput()
	said, _ := os.ReadFile(v.Serial())
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, said)
	}
	return string(said)
}

// Where there is no Debian, which alone has that kernel package, it is said.
func TestOtherSystemsAreTold(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "apt-cache"), []byte("#!/bin/sh\necho 'E: No packages found' >&2\nexit 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	_, err := Build(t.Context(), "/bin/true", dir, filepath.Join(dir, "base"))
	const want = "boot image: apt-cache depends linux-image-cloud-amd64: exit status 100: E: No packages found"
	if err == nil || err.Error() != want || !strings.Contains(hint.Of(err), "Debian 12") {
		t.Errorf("%v (%s)", err, hint.Of(err))
	}
}

// An archive is read back entry by entry, as the kernel does.
func TestCpio(t *testing.T) {
	var archive bytes.Buffer
	c := &cpio{w: &archive}
	c.dir("dev")
	c.device("dev/console", 5, 1)
	c.file("init", []byte("hello"))
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	type entry struct {
		name string
		mode uint32
		data string
	}
	var got []entry
	for rest := archive.Bytes(); len(rest) > 0; {
		field := func(i int) uint32 {
			b, err := hex.DecodeString(string(rest[6+8*i : 14+8*i]))
			if err != nil || string(rest[:6]) != "070701" {
				t.Fatalf("header %q", rest[:110])
			}
			return binary.BigEndian.Uint32(b)
		}
		aligned := func(n uint32) uint32 { return (n + 3) &^ 3 }
		size, nameSize := field(6), field(11)
		start := aligned(110 + nameSize)
		got = append(got, entry{string(rest[110 : 110+nameSize-1]), field(1), string(rest[start : start+size])})
		rest = rest[start+aligned(size):]
	}
	want := []entry{{"dev", 0o040755, ""}, {"dev/console", 0o020600, ""}, {"init", 0o100755, "hello"}, {"TRAILER!!!", 0, ""}}
	if len(got) != len(want) {
		t.Fatalf("entries %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %+v, want %+v", got[i], want[i])
		}
	}
}
