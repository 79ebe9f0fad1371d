package qemu

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// hanging is a QEMU whose guests run under TCG, and under KVM say nothing,
// which is how nested virtualization that is half configured fails.
const hanging = `#!/bin/sh
case "$*" in
*"-accel kvm"*) exec sleep 60 ;;
*) echo slipway ;;
esac
`

// Where KVM is there and hangs, TCG is chosen within five seconds.
func TestProbeGivesUpOnKVMThatHangs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Program), []byte(hanging), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	began := time.Now()
	accel, why, err := Probe(t.Context())
	if accel != TCG || why != "kvm: a guest said nothing for 2s" || err != nil {
		t.Errorf("%s because %q, %v", accel, why, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := Try(t.Context(), TCG); err != nil {
		t.Error(err)
	}
}
