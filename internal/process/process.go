package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An ID names one process of this host, told apart from a later one that got
// the same number by when it started. It needs /proc of Linux; elsewhere no
// process is ever found.
type ID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // clock ticks since boot: field 22 of /proc/PID/stat, proc(5)
}

// Identify returns the process that has pid now.
func Identify(pid int) (ID, error) {
	start, _, err := stat(pid)
	return ID{pid, start}, err
}

// Alive reports whether p still runs; a zombie does not.
func (p ID) Alive() bool {
	start, state, err := stat(p.PID)
	return err == nil && start == p.Start && state != "Z" && state != "X"
}

// stat reads the start time and the state of a process. The name before them
// may hold blanks and parentheses: they are counted from its last one.
func stat(pid int) (start, state string, err error) {
	b, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return "", "", err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return "", "", fmt.Errorf("process %d: %d fields in stat", pid, len(fields))
	}
	return fields[19], fields[0], nil
}

func procPath(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}

// Args returns the arguments p was started with; nil when it is gone.
func (p ID) Args() []string {
	b, err := os.ReadFile(procPath(p.PID, "cmdline"))
	if err != nil || len(b) == 0 || !p.Alive() {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// List returns the processes of our user, in our network namespace, whose
// arguments match says yes to, in the order of their ids.
func List(match func(args []string) bool) ([]ID, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []ID
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !ours(pid) {
			continue
		}
		if p, err := Identify(pid); err == nil && match(p.Args()) {
			found = append(found, p)
		}
	}
	return found, nil
}

func ours(pid int) bool {
	info, err := os.Stat(procPath(pid, ""))
	if err != nil {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Getuid() {
		return false
	}
	theirs, err := os.Readlink(procPath(pid, "ns/net"))
	here, herr := os.Readlink("/proc/self/ns/net")
	return err == nil && herr == nil && theirs == here
}

// End ends p: SIGTERM, and after grace, or when ctx ends first, SIGKILL to its
// whole group if it leads one. Nothing is sent unless p is still the process
// it was. It returns when p is gone.
func (p ID) End(ctx context.Context, grace time.Duration) error {
	if !p.Alive() {
		return nil
	}
	if err := Signal(p.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("end process %d: %w", p.PID, err)
	}
	if p.gone(ctx, grace) {
		return nil
	}
	if !p.Alive() {
		return nil
	}
	if err := Signal(p.target(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	if !p.gone(context.WithoutCancel(ctx), 2*time.Second) {
		return fmt.Errorf("process %d does not end", p.PID)
	}
	return nil
}

// target is what kill(2) takes for p's group when p leads it, else for p.
func (p ID) target() int {
	if p.Leads() {
		return -p.PID
	}
	return p.PID
}

// Leads reports whether p leads a process group.
func (p ID) Leads() bool {
	group, err := syscall.Getpgid(p.PID)
	return err == nil && group == p.PID
}

// Signal is kill(2) for one process or one group, never for our own group (0)
// or for everybody (-1). A target that is gone is no error.
func Signal(target int, s syscall.Signal) error {
	if target == 0 || target == -1 {
		return fmt.Errorf("signal %s: no process", s)
	}
	if err := syscall.Kill(target, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// Wait returns once p has ended, or ctx.
func (p ID) Wait(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for p.Alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d still runs: %w", p.PID, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// gone reports whether p ends within that time.
func (p ID) gone(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return p.Wait(ctx) == nil
}
