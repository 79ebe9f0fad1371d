package pve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// workers is how many requests a node works on at once (pvedaemon's default).
const workers = 3

// A Server is the API of one simulated datacentre. It is safe for concurrent
// use; Close it when done.
type Server struct {
	cfg     Config
	release release
	certs   certs
	spool   string // where uploads arrive, /var/tmp of the real server

	ctx  context.Context // ends with Close; tasks live in it
	stop context.CancelFunc
	jobs sync.WaitGroup

	hosts  map[string]*host // by name of the node
	locks  flocks
	faults faults

	mu       sync.Mutex // guards what follows
	accounts *accounts
	vms      map[int]*machine
	volumes  map[string]volume
	tasks    []*task // oldest first
	pid      int
	requests map[string]map[string]int // by node, then by method and template
	random   *rand.Rand                // of the jitter
}

// New checks cfg, creates the storage directories and the certificates.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	release, err := parseRelease(cfg.Version)
	if err != nil {
		return nil, err
	}
	certs, err := newCerts()
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	accounts, err := newAccounts(cfg, release)
	if err != nil {
		return nil, err
	}
	s := &Server{
		accounts: accounts,
		cfg:      cfg, release: release, certs: certs,
		spool: filepath.Join(cfg.Dir, "spool"),
		hosts: map[string]*host{}, locks: flocks{held: map[string]chan struct{}{}},
		requests: map[string]map[string]int{}, vms: map[int]*machine{}, volumes: map[string]volume{}, pid: 1000,
		random: rand.New(rand.NewPCG(cfg.Seed, 1)),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.addHosts(); err != nil {
		return nil, err
	}
	if err := errors.Join(s.makeDirs(), s.injectConfigured()); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) makeDirs() error {
	dirs := []string{s.spool}
	for _, node := range s.cfg.Nodes {
		for _, store := range s.cfg.Storages {
			if store.files() {
				for kind := range fileKinds {
					dirs = append(dirs, s.fileDir(node, store, kind))
				}
			}
		}
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make storage: %w", err)
		}
	}
	return nil
}

// Close aborts the running tasks and waits for their ends. Requests that
// come later find a server without workers.
func (s *Server) Close() {
	s.stop()
	s.jobs.Wait()
}

// release is a version of the product.
type release struct{ major, minor int }

func parseRelease(version string) (release, error) {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return release{}, fmt.Errorf("version %q: want MAJOR.MINOR[.PATCH]", version)
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err := errors.Join(err1, err2); err != nil {
		return release{}, fmt.Errorf("version %q: %w", version, err)
	}
	return release{major, minor}, nil
}

func (r release) before(major, minor int) bool {
	return r.major < major || r.major == major && r.minor < minor
}

// A call is one request on its way through an endpoint.
type call struct {
	srv    *Server
	ctx    context.Context
	token  *Token
	entry  string            // the node where the request came in
	node   string            // of the path, else the same
	params map[string]string // verified
	upload *upload           // of the upload endpoint
}

// expand fills the parameters into a path template.
func (c *call) expand(template string) string {
	for name, value := range c.params {
		template = strings.ReplaceAll(template, "{"+name+"}", value)
	}
	return template
}

func (c *call) vmid() int { n, _ := strconv.Atoi(c.params["vmid"]); return n }

func (c *call) number(name string, otherwise int) int {
	if n, err := strconv.Atoi(c.params[name]); err == nil {
		return n
	}
	return otherwise
}

func (c *call) flag(name string) bool { return c.params[name] == "1" }

// ServeHTTP answers one request, as the first node unless it came in on a
// listener of [Server.ServeNode]. Behind other listeners reason phrases are
// net/http's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if plainHTTP(r) {
		redirect(w, r)
		return
	}
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	data, err := s.answer(w, r)
	var f *failure
	switch {
	case err == nil:
		writeData(w, data)
	case errors.Is(err, errDropped):
		panic(http.ErrAbortHandler)
	case errors.As(err, &f):
		s.writeFailure(w, r, f)
	default:
		s.writeFailure(w, r, die("%v", err))
	}
}

// entryOf is the node whose port a request came in on.
func (s *Server) entryOf(r *http.Request) string {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		return c.host.name
	}
	return s.cfg.Nodes[0]
}

const base = "/api2/json"

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
		return nil, refuse(http.StatusNotImplemented, "chunked transfer encoding not supported")
	}
	if !strings.HasPrefix(r.URL.Path, base+"/") {
		if r.ContentLength > maxPost {
			w.Header().Set("Connection", "close")
			return nil, refuse(http.StatusNotImplemented, "for data too large")
		}
		return nil, &failure{status: 500, msg: fmt.Sprintf("no such file '%s'\n", r.URL.Path), bare: true}
	}
	entry := s.entryOf(r)
	if !s.isOnline(entry) {
		return nil, errDropped
	}
	token := s.authenticate(r)
	if token == nil {
		s.pause(r.Context(), s.cfg.Durations.Unauthorized)
		return nil, refuse(http.StatusUnauthorized, "Authentication failed!")
	}
	e, inPath := route(r.Method, strings.TrimPrefix(r.URL.Path, base))
	if e != nil && e.upload {
		w.Header().Set("Connection", "close")
		return s.answerUpload(r, token, e, inPath)
	}
	args, err := readArguments(r)
	if err != nil {
		return nil, err
	}
	return s.dispatch(r, &call{srv: s, ctx: r.Context(), token: token, entry: entry}, e, inPath, args)
}

// dispatch does what happens once all parameters are here, in the real
// server's order: routing, rights, node, schema, work.
func (s *Server) dispatch(r *http.Request, c *call, e *endpoint, inPath map[string]string, args arguments) (any, error) {
	if e == nil { // in the words of PVE::HTTPServer
		return nil, &failure{status: http.StatusNotImplemented,
			msg: fmt.Sprintf("Method '%s %s' not implemented", r.Method, strings.TrimPrefix(r.URL.Path, base))}
	}
	for name, value := range inPath {
		if _, twice := args.values[name]; twice {
			return nil, badParam(name, "duplicate parameter (already defined in URI)")
		}
		args.values[name] = value
	}
	c.params = args.values
	s.countRequest(c.entry, r.Method, e.path)
	if s.cfg.OnRequest != nil {
		s.cfg.OnRequest(r.Method, e.path, maps.Clone(c.params))
	}
	return s.disturbed(c, r.Method, e, func() (any, error) {
		if err := e.access(c); err != nil {
			return nil, err
		}
		return s.work(c, e, args)
	})
}

func (s *Server) work(c *call, e *endpoint, args arguments) (any, error) {
	c.node = c.entry
	if node, ok := c.params["node"]; ok {
		c.node = node
	}
	h := s.hosts[c.node]
	if h == nil {
		return nil, die("hostname lookup '%s' failed - failed to get address info for: %s: Name or service not known", c.node, c.node)
	}
	if e.upload {
		h = s.hosts[c.entry] // the target gets a copy from here
	} else if err := s.proxied(c.entry, c.node); err != nil {
		return nil, err
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-c.ctx.Done():
		return nil, context.Cause(c.ctx)
	}
	s.pause(c.ctx, s.requestTime())
	if errs := e.schema(s.release).verify(args.values, args.nested); len(errs) > 0 {
		return nil, badParams(errs)
	}
	return e.run(c)
}

// requestTime is how long a request holds its worker.
func (s *Server) requestTime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random.IntN(100) == 0 {
		return s.cfg.Durations.SlowRequest
	}
	return s.cfg.Durations.Request
}

// pause waits for the scaled d, the end of ctx or of the server.
func (s *Server) pause(ctx context.Context, d time.Duration) error {
	d, err := s.slowed(ctx, d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(errClosed) })
	defer stop()
	defer cancel(nil)
	return s.cfg.Speed.Sleep(ctx, d)
}

var (
	errClosed  = errors.New("server closed")
	errDropped = errors.New("connection dropped")
)
