package services

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watch tells of changes in a directory until ctx ends, by inotify(7). What
// happens while a change is pending is part of it.
func watch(ctx context.Context, dir string) (<-chan struct{}, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO); err != nil {
		events.Close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	context.AfterFunc(ctx, func() { events.Close() })
	changes := make(chan struct{}, 1)
	go forward(events, changes)
	return changes, nil
}

func forward(events *os.File, changes chan<- struct{}) {
	for buf := make([]byte, 4096); ; {
		if _, err := events.Read(buf); err != nil {
			return // closed
		}
		select {
		case changes <- struct{}{}:
		default:
		}
	}
}
