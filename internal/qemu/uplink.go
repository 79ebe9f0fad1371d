package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A UserNet is a user network of QEMU (-netdev user) without a machine: it
// takes what comes from a tap to wherever this process may connect to.
type UserNet struct {
	Name     string
	Net      netip.Prefix
	Host     netip.Addr // this host's loopback, and the gateway
	DNS      netip.Addr // this host's DNS servers
	Forwards []Forward
}

// A Forward takes connections to this host (TCP) to a guest.
type Forward struct{ Host, Guest netip.AddrPort }

// Args are the arguments of [Program]; the tap is descriptor 3.
func (u UserNet) Args() []string {
	var user strings.Builder
	fmt.Fprintf(&user, "user,id=user,ipv6=off,net=%s,host=%s,dns=%s", u.Net, u.Host, u.DNS)
	for _, f := range u.Forwards {
		fmt.Fprintf(&user, ",hostfwd=tcp:%s:%d-%s:%d", f.Host.Addr(), f.Host.Port(), f.Guest.Addr(), f.Guest.Port())
	}
	return []string{
		"-name", value(u.Name), "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio",
		"-netdev", user.String(), "-netdev", "tap,id=tap,fd=3",
		"-netdev", "hubport,id=inside,hubid=0,netdev=tap", "-netdev", "hubport,id=outside,hubid=0,netdev=user",
	}
}

// An Uplink is a [UserNet] that runs as a child of this process, and ends with it.
type Uplink struct {
	process *os.Process
	exited  chan struct{}
}

// StartUplink connects tap with u, and returns when all its ports are open.
func StartUplink(ctx context.Context, u UserNet, tap *os.File) (*Uplink, error) {
	greeting, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	said := new(tail)
	cmd := exec.Command(Program, u.Args()...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.SysProcAttr = "/", stdout, said, []*os.File{tap}, attributes()
	cmd.WaitDelay = time.Second
	started, exited := make(chan error), make(chan error, 1)
	go keep(cmd, started, exited)
	err = <-started
	stdout.Close()
	if err != nil {
		greeting.Close()
		return nil, err
	}
	up := &Uplink{process: cmd.Process, exited: make(chan struct{})}
	ready := make(chan struct{})
	go up.watch(greeting, ready, exited)
	select {
	case <-ready:
		return up, nil
	case <-up.exited:
		return nil, said.cause(nil, errors.New("it ended at once"))
	case <-ctx.Done():
		up.Close()
		return nil, context.Cause(ctx)
	}
}

// watch waits for the greeting of the monitor, which comes when all else is
// there, and for the end.
func (u *Uplink) watch(greeting *os.File, ready chan<- struct{}, exited <-chan error) {
	defer close(u.exited)
	defer greeting.Close()
	if n, _ := greeting.Read(make([]byte, 1)); n > 0 {
		close(ready)
	}
	_, _ = io.Copy(io.Discard, greeting) // until the process ends
	<-exited
}

// Alive reports whether it still runs.
func (u *Uplink) Alive() bool {
	select {
	case <-u.exited:
		return false
	default:
		return true
	}
}

// Close ends it, and returns when it is gone.
func (u *Uplink) Close() {
	_ = u.process.Kill() // gone already is as good
	<-u.exited
}
