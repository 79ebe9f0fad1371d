package qemu

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/internal/testbed"
)

// TestMain is also what the provider under test starts: this very binary with
// the arguments of `slipway qemu supervise` and `slipway qemu network`.
func TestMain(m *testing.M) {
	if os.Getpid() == 1 {
		firstProcess(m)
	}
	if len(os.Args) == 7 && os.Args[1] == "qemu" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		syscall.Umask(0o077)
		if err := act(ctx, os.Args[2], os.Args[4], os.Args[6]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func act(ctx context.Context, verb, dir, owner string) error {
	if verb == "network" {
		return Hold(ctx, dir, owner)
	}
	return Supervise(ctx, SuperviseOptions{Dir: dir, Owner: owner, Log: os.Stderr})
}

func needQEMU(t *testing.T) {
	t.Helper()
	testbed.Program(t, qemu.Program)
}
