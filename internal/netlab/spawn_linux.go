package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// outside is the environment variable that tells a spawned process which
// namespaces its parent lives in, so that it can be sure to be elsewhere.
const outside = "SLIPWAY_NETLAB_OUTSIDE"

// Spawn starts cmd in mount and network namespaces of its own. For an ordinary
// user these belong to a new user namespace, in which cmd is root. The process
// gets SIGTERM when this one dies, but not the Ctrl-C of the terminal: what
// happens then is for this one to decide. Use the returned wait instead of
// cmd.Wait. The error carries a hint when namespaces are forbidden.
func Spawn(cmd *exec.Cmd) (wait func() error, err error) {
	return spawn(cmd, os.Geteuid() != 0)
}

func spawn(cmd *exec.Cmd, asUser bool) (wait func() error, err error) {
	here, err := namespaces("self")
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Environ(), outside+"="+strings.Join(here, " "))
	cmd.SysProcAttr = attributes(asUser)
	started, done := make(chan error), make(chan error, 1)
	go run(cmd, started, done)
	if err := <-started; err != nil {
		return nil, adviseOn(fmt.Errorf("start %s in namespaces of its own: %w", cmd.Path, err), asUser)
	}
	return func() error { return <-done }, nil
}

// run keeps the thread that started cmd until cmd has ended: the parent death
// signal is sent when the thread dies, not the process.
func run(cmd *exec.Cmd, started, done chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	started <- err
	if err == nil {
		done <- cmd.Wait()
	}
}

func attributes(asUser bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGTERM,
		Setpgid:    true,
	}
	if asUser {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// Spawned reports whether this process runs in mount and network namespaces
// that Spawn made.
func Spawned() error {
	there := strings.Fields(os.Getenv(outside))
	here, err := namespaces("self")
	if err != nil {
		return err
	}
	if len(there) != len(here) || there[0] == here[0] || there[1] == here[1] {
		return errors.New("not in namespaces of its own")
	}
	return nil
}

// namespaces returns the mount, network and user namespace of a process.
func namespaces(pid string) ([]string, error) {
	var ids []string
	for _, kind := range []string{"mnt", "net", "user"} {
		id, err := os.Readlink("/proc/" + pid + "/ns/" + kind)
		if err != nil {
			return nil, fmt.Errorf("look up namespaces: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Enter returns the beginning of a command line that runs what follows it in
// the namespaces of this process, which Spawn started, and in its working
// directory, with the credentials of the caller: root enters as root, an
// ordinary user becomes root of the user namespace.
func Enter() []string {
	argv := []string{"nsenter", "--target", strconv.Itoa(os.Getpid()), "--preserve-credentials"}
	if ownUser() {
		argv = append(argv, "--user")
	}
	return append(argv, "--mount", "--net", "--wd", "--")
}

func ownUser() bool {
	there := strings.Fields(os.Getenv(outside))
	here, err := os.Readlink("/proc/self/ns/user")
	return err == nil && len(there) == 3 && there[2] != here
}
