package qemu

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/provision/provider"
)

// SuperviseOptions say what [Supervise] keeps, and for whom.
type SuperviseOptions struct {
	Dir   string    // of the provider
	Owner string    // full cluster name
	Log   io.Writer // a line for each thing that happens; nil: none

	Starts  int           // machines that boot at a time; 0: as many as there are processors
	Every   time.Duration // how often a machine is asked how it is; 0: 5 s
	Silence time.Duration // how long it may take to answer; 0: 10 s
}

// A supervisor is one running Supervise.
type supervisor struct {
	SuperviseOptions
	run    string
	ctx    context.Context // of its machines
	stop   context.CancelFunc
	slots  chan struct{} // taken while a machine boots
	mu     sync.Mutex    // guards what follows
	guests map[string]*guest
	enter  []string // the way into the private network, nil when there is none

	wiring  sync.Mutex  // one change of the network at a time; guards what follows
	private *privateNet // nil: there is none
}

const (
	lockFile = "supervisor.lock"
	pidFile  = "supervisor.pid"
	logFile  = "supervisor.log"
)

// Supervise starts and stops the machines of a cluster as it is asked to at
// its control socket, until ctx ends, it is asked to stop, or the directory of
// the machines is gone. All its machines end with it.
func Supervise(ctx context.Context, o SuperviseOptions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := newSupervisor(ctx, stop, o)
	lock, err := s.claim()
	if err != nil {
		return err
	}
	defer lock.Close()
	control, err := s.listen()
	if err != nil {
		return err
	}
	s.log("supervising %s", o.Owner)
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() { s.followDir() })
	wg.Go(func() { <-ctx.Done(); s.end(); _ = server.Close() })
	err = server.Serve(control)
	stop()
	wg.Wait()
	s.log("ended")
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(s.run))
}

func newSupervisor(ctx context.Context, stop context.CancelFunc, o SuperviseOptions) *supervisor {
	o.Starts = cmp.Or(o.Starts, runtime.NumCPU())
	o.Every = cmp.Or(o.Every, 5*time.Second)
	o.Silence = cmp.Or(o.Silence, 10*time.Second)
	if o.Log == nil {
		o.Log = io.Discard
	}
	return &supervisor{SuperviseOptions: o, run: runDir(o.Dir, o.Owner), ctx: ctx, stop: stop,
		slots: make(chan struct{}, o.Starts), guests: make(map[string]*guest)}
}

// claim makes this process the only supervisor of the cluster, and says which
// it is. The lock goes with its holder.
func (s *supervisor) claim() (*os.File, error) {
	if err := os.MkdirAll(s.run, 0o700); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(s.run, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(s.ctx, process.LockEnds, unix.EWOULDBLOCK)
	defer cancel()
	if err := process.Lock(ctx, lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("machines of %s have a supervisor already: %w", s.Owner, err)
	}
	self, err := process.Identify(os.Getpid())
	var text []byte
	if err == nil {
		text, err = json.Marshal(self)
	}
	if err == nil {
		err = atomicfile.Write(filepath.Join(s.run, pidFile), text, 0o600)
	}
	if err != nil {
		lock.Close()
	}
	return lock, err
}

func (s *supervisor) listen() (net.Listener, error) {
	socket := socketPath(s.run)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	control, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return control, os.Chmod(socket, 0o600)
}

// followDir ends a supervisor whose machines somebody has removed from disk.
func (s *supervisor) followDir() {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Stat(filepath.Join(s.Dir, "machines")); errors.Is(err, os.ErrNotExist) {
			s.log("the directory of the machines is gone")
			s.stop()
		}
	}
}

// end waits until each machine has ended, which they do with s.ctx.
func (s *supervisor) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.guests {
		g.wait()
	}
	s.wiring.Lock()
	defer s.wiring.Unlock()
	if s.private != nil {
		s.private.close()
	}
}

func (s *supervisor) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{PID: os.Getpid(), Guests: make(map[string]Guest), Enter: s.enter}
	for id, g := range s.guests {
		st.Guests[id] = g.look()
	}
	return st
}

// find returns the guest with that id, which must be a machine of the owner.
func (s *supervisor) find(id string) (*guest, error) {
	r, err := read(s.Dir, id)
	if err == nil && !(provider.Mark{Cluster: s.Owner}).Owns(r.Machine.Mark) {
		err = fmt.Errorf("machine %s: %w", id, errForeign)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guests[id] == nil {
		s.guests[id] = &guest{id: id, name: r.Machine.Name}
	}
	return s.guests[id], nil
}

func (s *supervisor) log(format string, args ...any) {
	fmt.Fprintf(s.Log, time.Now().UTC().Format(time.RFC3339)+" "+format+"\n", args...)
}
