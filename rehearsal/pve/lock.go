package pve

import (
	"context"
	"strconv"
	"strings"
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

// lock takes a lock file or gives up after the lock time-out. what tells
// faults which one it is.
func (s *Server) lock(ctx context.Context, name string, what Fault) (unlock func(), err error) {
	what.Kind = LockTimeout
	file := s.locks.file(name)
	if _, struck := s.strike(what); struck {
		file = nil // never to be had
	}
	unlock = func() { <-file }
	select {
	case file <- struct{}{}:
		return unlock, nil
	default: // a short time-out must not win over a lock that is free
	}
	timer := time.NewTimer(s.lockTimeout())
	defer timer.Stop()
	select {
	case file <- struct{}{}:
		return unlock, nil
	case <-timer.C:
		return nil, die("%s", lockError(name))
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.ctx.Done():
		return nil, errClosed
	}
}

func (s *Server) lockTimeout() time.Duration {
	limit := s.cfg.Durations.LockTimeout
	return max(s.cfg.Speed.Scale(limit), min(limit, minLockTimeout))
}

// lockError is what is said when a lock is not to be had in time. Those of
// shared storages belong to the cluster and are no files.
func lockError(name string) string {
	if storage, shared := strings.CutPrefix(name, clusterLock); shared {
		return "cfs-lock '" + storage + "' error: got lock request timeout"
	}
	_, file, _ := strings.Cut(name, "\x00") // without the node
	return "can't lock file '" + file + "' - got timeout"
}

const clusterLock = "cluster\x00"

// lockConfig takes the lock of a VM's configuration on a node.
func (s *Server) lockConfig(ctx context.Context, node string, vmid int) (unlock func(), err error) {
	id := strconv.Itoa(vmid)
	return s.lock(ctx, configLock(node, id), Fault{Node: node, ID: id})
}

func configLock(node, vmid string) string {
	return node + "\x00/var/lock/qemu-server/lock-" + vmid + ".conf"
}

// lockStorage takes the lock of a storage, which is the node's own unless the
// storage is shared.
func (s *Server) lockStorage(ctx context.Context, node string, store Storage) (unlock func(), err error) {
	name := node + "\x00/var/lock/pve-manager/pve-storage-" + store.Name
	if store.Shared {
		name = clusterLock + "storage-" + store.Name
	}
	return s.lock(ctx, name, Fault{Node: node, Storage: store.Name})
}
