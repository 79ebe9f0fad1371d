package main

import (
	"testing"

	"github.com/slipway-project/slipway/internal/hint"
)

func TestMachineFlags(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags machineFlags
		want  string
	}{
		{"simulated", machineFlags{"simulated", 192}, ""},
		{"the least memory", machineFlags{"qemu", 160}, ""},
		{"too little", machineFlags{"qemu", 159}, "--memory 159 is not between 160 and 65536"},
		{"too much", machineFlags{"qemu", 65537}, "--memory 65537 is not between 160 and 65536"},
		{"another kind", machineFlags{"kvm", 192}, `--machines "kvm" is not simulated or qemu`},
	} {
		got := ""
		if err := tt.flags.check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A guest has no libraries: a program that needs them is refused before it is
// put on an image.
func TestGuestsNeedAStaticProgram(t *testing.T) {
	err := static("/bin/sh")
	if err == nil || err.Error() != "virtual machines run slipway itself, and this one needs libraries" || hint.Of(err) == "" {
		t.Errorf("got %v", err)
	}
	if err := static("machines_test.go"); err == nil {
		t.Error("a text is taken for a program")
	}
}
