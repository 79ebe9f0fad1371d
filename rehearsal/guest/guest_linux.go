package guest

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/rehearsal/image"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// initPath is where a kernel finds its first process on an image of ours.
const initPath = "/init"

// Become returns at once, unless this process is the first of a guest that
// booted an image of ours; then it is the guest, and never returns. What the
// host does is told on console.
func Become(console io.Writer) {
	if os.Getpid() != 1 || os.Args[0] != initPath {
		return
	}
	if _, err := os.Stat(image.ModulesDir); err != nil {
		return
	}
	say := func(what any) { fmt.Fprintln(console, "slipway guest:", what) }
	if err := run(say); err != nil {
		say(err)
	}
	halt(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// halt ends the machine, with everything on its disk.
func halt(how int) {
	unix.Sync()
	_ = unix.Reboot(how) // root may
}

// run is the machine from its kernel's start to a reset.
func run(say func(any)) error {
	if err := image.Prepare(); err != nil {
		return err
	}
	ctx, reset := context.WithCancel(context.Background()) // the machine's life
	defer reset()
	hw, world, err := hardware(reset)
	if err != nil {
		return err
	}
	wire := node.NewWire(world.Site.String(), hw.UUID, func(err error) {
		say(err)
		halt(unix.LINUX_REBOOT_CMD_POWER_OFF)
	})
	host := node.New(hw, wire)
	if err := host.PowerOn(tray()); err != nil {
		return err
	}
	tell(ctx, host, wire, say)
	say("reset")
	halt(unix.LINUX_REBOOT_CMD_RESTART)
	return nil
}

// Intervals of telling.
const (
	tellEvery = 100 * time.Millisecond // looks for something new
	tellAgain = time.Second            // at the latest, for the clock
)

// tell reports what the host does, to the World and to the console, and keeps
// the clock, until the machine resets.
func tell(ctx context.Context, host *node.Host, wire *node.Wire, say func(any)) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	last, told := "", time.Time{}
	for {
		state := host.State()
		if line := fmt.Sprintf("%s %v %s", state, state.Addresses, state.Hostname); line != last || time.Since(told) > tellAgain {
			if line != last {
				say(line)
			}
			last, told = line, time.Now()
			if now, err := wire.Report(ctx, state); err == nil { // else there is no network yet
				setClock(now)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// clockSlack is how far a clock may be off: under a busy emulator it drifts,
// and certificates and heartbeats are judged by it.
const clockSlack = 500 * time.Millisecond

func setClock(now time.Time) {
	if time.Until(now).Abs() > clockSlack {
		at := unix.NsecToTimeval(now.UnixNano())
		_ = unix.Settimeofday(&at) // root may
	}
}
