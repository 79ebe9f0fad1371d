package provision

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/state"
)

const onSmallDisk = "SLIPWAY_TEST_ON_SMALL_DISK"

// asideOnSmallDisk runs the test again in a mount namespace of its own, in which it may
// mount; it reports whether this is that run.
func asideOnSmallDisk(t *testing.T) bool {
	if os.Getenv(onSmallDisk) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), onSmallDisk+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Errorf("%v\n%s", err, out)
	case err != nil:
		testbed.Missing(t, "a mount namespace of its own: %v", err)
	}
	return false
}

// smallDisk is a directory on a disk of so many bytes.
func smallDisk(t *testing.T, size int) string {
	dir := t.TempDir()
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	}
	if err != nil {
		t.Fatal("mount a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves no room.
func fill(t *testing.T, dir string) {
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 4096; err == nil; {
		_, err = f.Write(make([]byte, size))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// The disk of a home that is full in truth: whichever file does not fit, the
// one that was there before is whole, and so is the state.
func TestDiskFullAtEveryFile(t *testing.T) {
	if !asideOnSmallDisk(t) {
		return
	}
	home := smallDisk(t, 256<<10)
	p := simulate(home, "c", 3, 1).Project
	old := []byte(strings.Repeat("old", 3000))
	r, err := p.take(t.Context(), "up")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.identify(); err != nil {
		t.Fatal(err)
	}
	if err := r.loadKey(); err != nil {
		t.Fatal(err)
	}
	want := r.journal.Document()
	key, err := os.ReadFile(r.SSHKey())
	if err != nil {
		t.Fatal(err)
	}
	files := []string{r.Kubeconfig(), r.Password(), r.document(), r.file("host_keys.json"), filepath.Join(home, "timings.json")}
	for _, path := range files {
		if err := atomicfile.Write(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, home)
	for _, path := range files {
		if err := atomicfile.Write(path, []byte(strings.Repeat("new", 9000)), 0o600); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("write of %s to a full disk: %v", path, err)
		}
		if got, err := os.ReadFile(path); string(got) != string(old) {
			t.Errorf("%s is not what it was: %d bytes, %v", path, len(got), err)
		}
	}
	for err == nil { // until a record needs another page
		err = r.journal.Append(state.Record{Kind: state.Failed, Step: "x", Error: strings.Repeat("x", 500)})
		if err == nil {
			want = r.journal.Document()
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("append to a full disk: %v", err)
	}
	r.close()
	doc, err := p.store.Read(t.Context(), p.cluster.FullName())
	if err != nil || doc.Seq != want.Seq || doc.ID != want.ID {
		t.Errorf("the state has %d records, want %d: %v", doc.Seq, want.Seq, err)
	}
	if again, _ := os.ReadFile(p.SSHKey()); string(again) != string(key) {
		t.Error("the SSH key is not what it was")
	}
}

// A journal that has grown is opened, and given up again, when there is no
// room to shorten it.
func TestDiskFullAtCompaction(t *testing.T) {
	if !asideOnSmallDisk(t) {
		return
	}
	home := smallDisk(t, 4<<20)
	p := simulate(home, "c", 1, 1).Project
	r, err := p.take(t.Context(), "up")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.identify(); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if err := r.journal.Append(state.Record{Kind: state.Failed, Step: "x", Error: strings.Repeat("x", 50_000)}); err != nil {
			t.Fatal(err)
		}
	}
	want := r.journal.Document()
	r.close()
	fill(t, home)
	for range 2 {
		again, err := p.take(t.Context(), "down")
		if err != nil {
			t.Fatal(err)
		}
		if got := again.journal.Document(); got.Seq != want.Seq || got.ID != want.ID {
			t.Errorf("the journal has %d records, want %d", got.Seq, want.Seq)
		}
		again.close()
	}
	if err := os.Remove(filepath.Join(home, "ballast")); err != nil {
		t.Fatal(err)
	}
	again, err := p.take(t.Context(), "down")
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if err := again.journal.Append(state.Record{Kind: state.Ready}); err != nil {
		t.Error(err)
	}
}
