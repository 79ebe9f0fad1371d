package qemu

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/qemu"
)

// TestMain is also the supervisor that the provider under test starts: this
// very binary with the arguments of `slipway qemu supervise`.
func TestMain(m *testing.M) {
	if len(os.Args) == 7 && os.Args[1] == "qemu" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		syscall.Umask(0o077)
		if err := Supervise(ctx, SuperviseOptions{Dir: os.Args[4], Owner: os.Args[6], Log: os.Stderr}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// needQEMU skips, but not in CI, where the emulator is not installed.
func needQEMU(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(qemu.Program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("needs ", qemu.Program)
	}
}
