package qemu

import (
	"os"
	"syscall"
	"testing"

	"github.com/slipway-project/slipway/provision/provider"
)

// A machine that ends while its tray is changed, as one does that reboots when
// it has installed itself, has the new medium when it starts again.
func TestTrayOfAMachineThatEnds(t *testing.T) {
	needQEMU(t)
	p := opened(t, directoryOf(t))
	supervised(t, p, 0)
	m := made(t, p, 0, halts)
	powered(t, p, m)
	if err := os.Mkdir(p.images(), 0o700); err != nil {
		t.Fatal(err)
	}
	const image = "image.iso"
	if err := os.WriteFile(p.image(image), make([]byte, 2048), 0o600); err != nil {
		t.Fatal(err)
	}
	g := guestOf(t, p, m)
	stop(t, g) // it does not answer
	inserted := make(chan error, 1)
	go func() { inserted <- p.Insert(within(t), m, image) }()
	until(t, "the medium is in the record", func() bool { r, err := p.owned(m); return err == nil && r.Machine.Media == image })
	if err := syscall.Kill(g.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-inserted; err != nil {
		t.Error(err)
	}
	until(t, "it is off", func() bool { return !guestOf(t, p, m).On })
	if got := onlyFound(t, p); got.Media != image || got.Power != provider.PowerOff {
		t.Errorf("medium %q, power %q", got.Media, got.Power)
	}
}
