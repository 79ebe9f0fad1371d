package netlab

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// aside runs f on an operating system thread that may change its network
// namespace, and brings the thread home afterwards.
func aside(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- onThread(f) }()
	return <-done
}

// onThread never lets f have the process's first thread: /proc/<pid>/ns/net,
// which nsenter and others open, is the namespace of that one.
func onThread(f func() error) error {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		return aside(f)
	}
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the own network namespace: %w", err)
	}
	defer home.Close()
	err = f()
	if away := netns.Set(home); away != nil {
		// Still locked: the thread ends with this goroutine and nobody else
		// ever runs in the wrong namespace.
		return errors.Join(err, fmt.Errorf("return to the own network namespace: %w", away))
	}
	runtime.UnlockOSThread()
	return err
}
