//go:build rehearse

package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision"
)

// A home that is too small for the state, by a page more each time, until it
// is large enough: up says that the disk is full and all that was made by
// then, and goes on where it stopped. Then down does the same on a disk that
// was filled up.
func TestRehearseFullDisk(t *testing.T) {
	testbed.Root(t, "to mount a small disk inside the rehearsal")
	w := openWorldAt(t, crashSpeed, example)
	home := w.ready.Env["SLIPWAY_HOME"]
	w.mount(t, "none", home, "-t", "tmpfs", "-o", "size=4k,mode=700")
	failures, size := 0, 4
	for ; ; size += max(4, size/16*4) {
		w.mount(t, "none", home, "-o", fmt.Sprintf("remount,size=%dk", size))
		if w.fitsOrSaysWhatWasMade(t) {
			break
		}
		failures++
	}
	t.Logf("%d failures for want of space, enough is %d KiB", failures, size)
	if failures < 10 {
		t.Error("the disk was hardly ever full")
	}
	w.noneTwice(t, 5)
	w.run(t, "sh", "-c", "cat /dev/zero > "+home+"/ballast")
	told := w.fails(t, provision.ExitPartial, nil, "down", "--yes", "-f", example)
	for _, want := range []string{"teardown is incomplete", "no space left on device", "slipway: hint: mend or empty the disk"} {
		if !strings.Contains(told, want) {
			t.Errorf("down on a full disk does not say %q:\n%s", want, told)
		}
	}
	_, left, _ := strings.Cut(told, "still there: ") // none, if those under way at the time were the last
	w.everyMachineIsIn(t, left)
	w.run(t, "rm", home+"/ballast")
	w.goneAfterDown(t, example)
}

func (w *testWorld) mount(t *testing.T, args ...string) {
	t.Helper()
	if out, err := w.command(append([]string{"mount"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("mount %q: %v: %s", args, err, out)
	}
}

// fitsOrSaysWhatWasMade reports whether up succeeds; if not, it must be for
// want of space, and every machine that there is must be told of.
func (w *testWorld) fitsOrSaysWhatWasMade(t *testing.T) bool {
	t.Helper()
	cmd := w.slipway(t, "up", "--yes", "-f", example, "--progress", "none")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if cmd.Run() == nil {
		return true
	}
	told := stderr.String()
	if !strings.Contains(told, "no space left on device") {
		t.Fatalf("up failed for something else:\n%s", told)
	}
	w.everyMachineIsIn(t, told)
	return false
}

// everyMachineIsIn asserts that no machine is there but those that were told of.
// One that is just being made is listed by its number only: "VM 100 VM 100".
func (w *testWorld) everyMachineIsIn(t *testing.T, told string) {
	t.Helper()
	for _, line := range w.residue(t) {
		words := strings.Fields(line)
		if words[0] != "VM" {
			continue
		}
		id, name := words[1], words[2]
		if name == "VM" {
			name = ""
		}
		if !strings.Contains(told, name+" ("+id+" on ") {
			t.Errorf("%s is there and is not told of:\n%s", line, told)
		}
	}
}
