package rehearsal

import (
	"testing"

	"github.com/slipway-project/slipway/rehearsal/node"
)

// A machine of a cloud image boots what is on its disk, and is not there for
// anybody.
func TestAMachineOfAForeignImageBoots(t *testing.T) {
	if !inside(t) {
		return
	}
	w := open(t, example(t))
	r := w.datacentres[0].rack.(*rack)
	m := vm(1, "vmbr0", 0)
	m.Image, m.NICs = "debian.qcow2", nil // nobody is there to miss them
	phase := func() node.Phase { return w.Hosts()[0].State.Phase }
	for range 2 {
		must(t, r.PowerOn(m))
		if got := phase(); got != node.PhaseBooted {
			t.Errorf("switched on it is %q", got)
		}
	}
	r.PowerOff(1)
	if got := phase(); got != node.PhaseOff {
		t.Errorf("switched off it is %q", got)
	}
	r.Destroy(1)
	if left := w.Hosts(); len(left) != 0 {
		t.Errorf("destroyed it is %+v", left)
	}
}
