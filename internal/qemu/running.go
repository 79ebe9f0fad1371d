package qemu

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// startTime is how long a process gets to answer at its monitor.
const startTime = time.Minute

// pollMonitor is how often a new process is asked whether it answers yet.
const pollMonitor = 20 * time.Millisecond

// A Reason is why a VM ended: QEMU's own word (QMP, ShutdownCause), or Died.
type Reason string

// The reasons that matter to whoever supervises a VM.
const (
	GuestReset    Reason = "guest-reset"    // the guest rebooted: start it again
	GuestShutdown Reason = "guest-shutdown" // the guest switched itself off
	GuestPanic    Reason = "guest-panic"
	HostQuit      Reason = "host-qmp-quit" // [Monitor.Quit]
	HostSignal    Reason = "host-signal"   // SIGTERM, SIGINT, SIGHUP
	Died          Reason = "died"          // without a word: SIGKILL, out of memory, a bug
)

// An End is how a VM ended.
type End struct {
	Reason Reason
	Err    error // what its process wrote or its exit status, when it died
}

// A Running is a VM that runs as a child of this process. It is safe for
// concurrent use.
type Running struct {
	*Monitor
	PID int

	process *os.Process
	ended   chan struct{}
	end     End
}

// Start runs v until it ends. extra are inherited as descriptors 3 and up: see
// [NIC.FD]. On Linux the VM ends, by SIGKILL, with this process.
func Start(ctx context.Context, v VM, extra ...*os.File) (*Running, error) {
	if err := os.Remove(v.monitor()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("start %s: %w", v.Name, err)
	}
	said := new(tail)
	cmd := exec.Command(Program, v.Args()...)
	cmd.Dir, cmd.Stderr, cmd.ExtraFiles, cmd.SysProcAttr = v.Dir, said, extra, attributes()
	cmd.WaitDelay = time.Second
	started, exited := make(chan error), make(chan error, 1)
	go keep(cmd, started, exited)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", v.Name, err)
	}
	m, err := greet(ctx, v, exited)
	if err != nil {
		_ = cmd.Process.Kill()
		exit := <-exited
		return nil, fmt.Errorf("start %s: %w", v.Name, said.cause(exit, err))
	}
	r := &Running{Monitor: m, PID: cmd.Process.Pid, process: cmd.Process, ended: make(chan struct{})}
	go r.watch(said, exited)
	return r, nil
}

// keep holds the thread that started cmd until cmd has ended: the signal of a
// parent's death is sent when its thread dies (prctl(2), PR_SET_PDEATHSIG).
func keep(cmd *exec.Cmd, started, exited chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	started <- err
	if err == nil {
		exited <- cmd.Wait()
	}
}

// greet connects to the monitor of a process that has just been started.
func greet(ctx context.Context, v VM, exited chan error) (*Monitor, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, ErrSilent)
	defer cancel()
	tick := time.NewTicker(pollMonitor)
	defer tick.Stop()
	for {
		m, err := Connect(ctx, v)
		if err == nil {
			return m, nil
		}
		select {
		case exit := <-exited:
			exited <- exit
			return nil, cmp.Or(exit, errors.New("it ended at once"))
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// watch takes the events of the monitor until the process has ended.
func (r *Running) watch(said *tail, exited <-chan error) {
	reason := Died
	for e := range r.Events() {
		var data struct{ Reason Reason }
		if e.Name == "SHUTDOWN" && json.Unmarshal(e.Data, &data) == nil {
			reason = data.Reason
		}
	}
	exit := <-exited
	r.end.Reason = reason
	if reason == Died {
		r.end.Err = said.cause(exit, errors.New("its process ended"))
	}
	_ = r.Monitor.Close()
	close(r.ended)
}

// Ended is closed when the process is gone.
func (r *Running) Ended() <-chan struct{} { return r.ended }

// End is how it ended, once [Running.Ended] is closed.
func (r *Running) End() End { return r.end }

// Kill cuts the power, hung or not, and returns when the process is gone.
func (r *Running) Kill() {
	_ = r.process.Kill() // gone already is as good
	<-r.ended
}

// A tail keeps the last kilobyte of what a process wrote.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-1024):]
	return len(b), nil
}

// cause is what a process wrote, else how it exited, else err.
func (t *tail) cause(exit, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if said := bytes.TrimSpace(t.text); len(said) > 0 {
		return errors.New(string(said[bytes.LastIndexByte(said, '\n')+1:]))
	}
	return cmp.Or(exit, err)
}
