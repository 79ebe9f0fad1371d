package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/loadbalancer"
)

// ServeOptions say what [Serve] serves, and for whom.
type ServeOptions struct {
	Document string    // path of the document, which is followed
	RunDir   string    // sockets and files of this one process; made (0700) when missing
	Owner    string    // full cluster name; documents of another are kept out
	Media    Media     // images served over HTTP as well
	Log      io.Writer // a line for each thing that happens; nil: none
	Ready    func()    // called once everything is served; may be nil
	Alive    func()    // called about once a second while it serves; may be nil
	Stopping func()    // called when it begins to stop; may be nil
}

// A server is one running Serve.
type server struct {
	o       ServeOptions
	dns     *dnsserver.Server
	media   *mediaServer // nil: none
	started time.Time
	stop    context.CancelFunc

	changing sync.Mutex  // one change at a time; guards what follows
	seen     os.FileInfo // of the document looked at last; nil: there was none

	mu       sync.Mutex // guards what follows
	current  Document
	balancer loadbalancer.Balancer
	refused  uint64 // serial of the document kept out last, 0: none
	fault    error  // why the file at hand is not what is served
}

// Serve runs DNS and load balancer as the document says, and follows it, until
// ctx ends or the control socket asks to stop; both give nil. A new document
// that cannot be served is kept out and told of in the status; one that
// vanished changes nothing.
func Serve(ctx context.Context, o ServeOptions) error {
	if o.Log == nil {
		o.Log = io.Discard
	}
	lock, err := lockRunDir(ctx, o.RunDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	media, err := openMedia(o.Media)
	if err != nil {
		return err
	}
	if media != nil {
		defer media.close()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{o: o, dns: dnsserver.New(dnsserver.Options{}), media: media, started: time.Now(), stop: stop}
	if err := s.begin(ctx); err != nil {
		s.dns.Close()
		return err
	}
	return errors.Join(s.run(ctx), s.end())
}

// lockRunDir keeps a second process out of the run directory; the lock goes
// with its holder, however that ends.
func lockRunDir(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "serve.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, process.LockEnds, unix.EWOULDBLOCK)
	defer cancel()
	if err := process.Lock(ctx, f); err != nil {
		f.Close()
		return nil, fmt.Errorf("run directory %s is in use by another slipway serve: %w", dir, err)
	}
	return f, nil
}

// begin serves the first document, or nothing.
func (s *server) begin(ctx context.Context) error {
	d, err := s.read()
	if err != nil {
		return err
	}
	if err := s.dns.Set(d.DNS); err != nil {
		return err
	}
	if err := s.balance(ctx, d.Balancer); err != nil {
		return err
	}
	s.settle(d)
	return nil
}

// balance starts the balancer that c asks for.
func (s *server) balance(ctx context.Context, c loadbalancer.Config) error {
	b, note, err := loadbalancer.Run(ctx, loadbalancer.Options{RunDir: s.o.RunDir, Label: s.o.Owner}, c)
	if err != nil {
		return err
	}
	if note != "" {
		s.log("%s", note)
	}
	if p, ok := b.(*loadbalancer.Proxy); ok && p.Adopted() {
		s.log("took over the %s that was running", b.Name())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.balancer = b
	return nil
}

// balancing is the balancer that runs.
func (s *server) balancing() loadbalancer.Balancer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.balancer
}

// run serves until ctx ends.
func (s *server) run(ctx context.Context) error {
	control, err := s.listen()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.dns.Serve(ctx) })
	wg.Go(func() { s.control(ctx, control) })
	wg.Go(func() { s.watchHealth(ctx) })
	if s.media != nil {
		wg.Go(func() { s.media.serve(ctx) })
	}
	if s.o.Ready != nil {
		s.o.Ready()
	}
	s.follow(ctx)
	if s.o.Stopping != nil {
		s.o.Stopping()
	}
	wg.Wait()
	return nil
}

func (s *server) end() error {
	s.dns.Close()
	err := s.balancing().Stop(context.Background())
	s.log("stopped")
	return err
}

// follow looks at the document whenever its directory changes, and once a
// second, for directories can be replaced and file systems can be remote.
func (s *server) follow(ctx context.Context) {
	changes, err := watch(ctx, filepath.Dir(s.o.Document))
	if err != nil {
		s.log("looking once a second: %v", err)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		case <-tick.C:
			if s.o.Alive != nil {
				s.o.Alive()
			}
		}
		s.refresh(ctx)
	}
}

// refresh serves the document if it is another file than the one seen last.
func (s *server) refresh(ctx context.Context) {
	s.changing.Lock()
	defer s.changing.Unlock()
	info, err := os.Stat(s.o.Document)
	if err != nil {
		s.seen = nil
		s.keep(0, fmt.Errorf("services document: %w", err))
		return
	}
	if !same(info, s.seen) {
		s.replace(ctx)
	}
}

func same(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// replace serves the document at hand, or keeps it out.
func (s *server) replace(ctx context.Context) {
	s.reconsider()
	d, err := s.read()
	if err == nil {
		err = s.apply(ctx, d)
	}
	if err != nil {
		s.keep(d.Serial, err)
		return
	}
	s.settle(d)
}

// reconsider takes back the verdict on the document before.
func (s *server) reconsider() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = 0
}

// read returns the document and remembers which file it was.
func (s *server) read() (Document, error) {
	s.seen, _ = os.Stat(s.o.Document) // before reading: a change in between is seen as one
	d, err := Read(s.o.Document)
	if err != nil {
		return Document{}, err
	}
	if d.Owner != s.o.Owner {
		return d, fmt.Errorf("services document %s is of %s, not of %s", s.o.Document, d.Owner, s.o.Owner)
	}
	return d, nil
}

// apply serves all of d, or goes on as before.
func (s *server) apply(ctx context.Context, d Document) error {
	if err := s.rebalance(ctx, d.Balancer); err != nil {
		return err
	}
	if err := s.dns.Set(d.DNS); err != nil {
		return errors.Join(err, s.rebalance(ctx, s.current.Balancer))
	}
	return nil
}

// rebalance has the balancer do what c says. Another mode is another balancer,
// for which the one before it must make room: that alone cuts connections.
func (s *server) rebalance(ctx context.Context, c loadbalancer.Config) error {
	before, b := s.current.Balancer, s.balancing()
	if cmp.Or(c.Mode, loadbalancer.ModeAuto) == cmp.Or(before.Mode, loadbalancer.ModeAuto) {
		return b.Apply(ctx, c)
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if _, _, err := loadbalancer.Choose(ctx, c.Mode); err != nil {
		return err
	}
	if err := b.Stop(ctx); err != nil {
		return err
	}
	err := s.balance(ctx, c)
	if err != nil {
		err = errors.Join(err, s.balance(context.WithoutCancel(ctx), before))
	}
	return err
}

// settle notes that d is what is served.
func (s *server) settle(d Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Serial != d.Serial || s.fault != nil {
		s.log("serving document %d", d.Serial)
	}
	s.current, s.refused, s.fault = d, 0, nil
}

// keep notes why the document with this serial is not served.
func (s *server) keep(serial uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil || s.fault.Error() != err.Error() {
		s.log("still serving document %d: %v", s.current.Serial, err)
	}
	s.refused, s.fault = serial, err
}

func (s *server) log(format string, args ...any) {
	fmt.Fprintf(s.o.Log, time.Now().UTC().Format(time.RFC3339)+" "+format+"\n", args...)
}
