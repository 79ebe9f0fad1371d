package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is one that runs in this process's mount namespace, or in one that
// was made of that, whoever started it: a client, a daemon that outlived it, a
// network of its own inside.
type Process struct {
	PID     int
	Command string // its arguments, separated by blanks

	start string // with PID, its identity
}

// Processes lists the processes in the mount namespace of this one and, after
// [Settle], in those made of it, without itself. It refuses where Spawn made no
// namespace: there all are strangers.
func Processes() ([]Process, error) {
	if err := Spawned(); err != nil {
		return nil, err
	}
	home, err := lookHome()
	if err != nil {
		return nil, fmt.Errorf("look up mount namespace: %w", err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := inspect(pid, home); ok {
			found = append(found, p)
		}
	}
	return found, nil
}

// settled tells that Settle has mounted something over /etc/hosts.
var settled atomic.Bool

// A home is the mount namespace of this process, and that mount as it is written
// in the table of everybody in a namespace made of ours, whatever is mounted
// over it there: device, path on it and place (fields 3 to 5 of proc(5)
// mountinfo). It is nil before there is one.
type home struct {
	namespace string
	mount     []byte
}

func lookHome() (h home, err error) {
	if h.namespace, err = os.Readlink("/proc/self/ns/mnt"); err != nil || !settled.Load() {
		return h, err
	}
	h.mount, err = hostsMount()
	return h, err
}

func hostsMount() (written []byte, err error) {
	place, err := filepath.EvalSymlinks("/etc/hosts")
	if err != nil {
		return nil, err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(table) {
		if f := bytes.Fields(line); len(f) > 4 && string(f[4]) == place {
			written = fmt.Appendf(nil, " %s %s %s ", f[2], f[3], f[4])
		}
	}
	if written == nil {
		return nil, errors.New("/etc/hosts is not the one that was settled with")
	}
	return written, nil
}

func (h home) has(dir string) bool {
	if namespace, err := os.Readlink(dir + "/ns/mnt"); err != nil || namespace == h.namespace {
		return err == nil
	}
	table, err := os.ReadFile(dir + "/mountinfo")
	return err == nil && h.mount != nil && bytes.Contains(table, h.mount)
}

// inspect looks at one process; those that end meanwhile, zombies and those of
// other people are not in the namespace.
func inspect(pid int, home home) (Process, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	if !home.has(dir) {
		return Process{}, false
	}
	line, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return Process{}, false
	}
	start, err := startTime(dir)
	command := string(bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	return Process{PID: pid, Command: command, start: start}, err == nil
}

// startTime is field 22 of proc(5) stat, counted behind the name, which may
// contain anything.
func startTime(dir string) (string, error) {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("%s/stat: too short", dir)
	}
	return fields[19], nil
}

// Kill ends the process with SIGKILL. That it has ended already is no error,
// and another one that got its number is left alone.
func (p Process) Kill() error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	start, err := startTime("/proc/" + strconv.Itoa(p.PID))
	if err != nil || start != p.start {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return p.gone(fd)
}

// gone waits until a killed process has let go of what it held.
func (p Process) gone(fd int) error {
	const patience = 5 * time.Second
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		n, err := unix.Poll(poll, int(patience.Milliseconds()))
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for process %d: %w", p.PID, err)
		}
	}
	return fmt.Errorf("process %d: still there %s after SIGKILL", p.PID, patience)
}
