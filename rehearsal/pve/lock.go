package pve

import (
	"context"
	"sync"
	"time"
)

// flocks are the lock files of the datacentre.
type flocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // capacity 1, full while locked
}

func (f *flocks) file(name string) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[name] == nil {
		f.held[name] = make(chan struct{}, 1)
	}
	return f.held[name]
}

// minLockTimeout bounds scaled lock time-outs from below: the time this
// machine itself needs does not shrink with the datacentre's.
const minLockTimeout = 2 * time.Second

// lock takes a lock file or gives up after the lock time-out.
func (s *Server) lock(ctx context.Context, name string) (unlock func(), err error) {
	limit := s.cfg.Durations.LockTimeout
	timer := time.NewTimer(max(s.cfg.Speed.Scale(limit), min(limit, minLockTimeout)))
	defer timer.Stop()
	file := s.locks.file(name)
	select {
	case file <- struct{}{}:
		return func() { <-file }, nil
	case <-timer.C:
		return nil, die("can't lock file '%s' - got timeout", name)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.ctx.Done():
		return nil, errClosed
	}
}

func configLock(vmid string) string     { return "/var/lock/qemu-server/lock-" + vmid + ".conf" }
func storageLock(storage string) string { return "/var/lock/pve-manager/pve-storage-" + storage }
