package assisted_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/installer/assisted"
	"github.com/slipway-project/slipway/provision/provider"
	sim "github.com/slipway-project/slipway/rehearsal/assisted"
	"github.com/slipway-project/slipway/rehearsal/assisted/assistedtest"
)

const speed = pace.Pace(2000)

// A world is the simulated service on loopback, the engine before it, and
// agents that do what they are told.
type world struct {
	t       *testing.T
	service *sim.Service
	server  *httptest.Server
	engine  *assisted.Engine
	agents  []*assistedtest.Agent
	wire    *recorder
}

func newWorld(t *testing.T, token string) *world {
	t.Helper()
	w := &world{t: t, wire: &recorder{}}
	w.server = httptest.NewUnstartedServer(w.wire)
	var err error
	w.service, err = sim.New(sim.Config{
		URL: "http://" + w.server.Listener.Addr().String(), Token: token,
		Dir: t.TempDir(), Speed: speed, ImageSize: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wire.next = w.service
	w.server.Start()
	w.engine = w.open(token)
	t.Cleanup(w.close)
	return w
}

func (w *world) open(token string) *assisted.Engine {
	w.t.Helper()
	endpoint, err := url.Parse(w.server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	config := assisted.Config{Endpoint: endpoint}
	if token != "" {
		config.Token = secret.Of("test", token)
	}
	engine, err := assisted.Open(config, assisted.Options{Pace: speed})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(engine.Close)
	return engine
}

func (w *world) close() {
	w.engine.Close()
	http.DefaultClient.CloseIdleConnections()
	w.server.Close()
	if err := w.service.Close(); err != nil {
		w.t.Error(err)
	}
}

func mark(id string) provider.Mark { return provider.Mark{Cluster: "mycluster.lab.test", ID: id} }

// testCluster has three control plane nodes and two workers.
func testCluster() installer.Cluster {
	c := installer.Cluster{
		Name: "mycluster", Domain: "lab.test", Release: "okd-4.20", Mark: mark("4f2a-77"),
		SSHKeys: []string{"ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"},
		DNS:     []netip.Addr{netip.MustParseAddr("192.0.2.210")},
		NTP:     []string{"192.0.2.210"},
	}
	for i := range 5 {
		name, role := fmt.Sprintf("control-%d", i), installer.ControlPlane
		if i >= 3 {
			name, role = fmt.Sprintf("worker-%d", i-3), installer.Worker
		}
		c.Hosts = append(c.Hosts, installer.Host{
			ID: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)), Node: name, Hostname: name + "." + c.FullName(), Role: role,
			CPUs: 8, Memory: 16384, Disk: 250,
			NICs: []installer.HostNIC{{
				MAC:     fmt.Sprintf("52:54:00:00:00:%02x", i+1),
				Address: netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/24", 201+i)),
				Gateway: netip.MustParseAddr("192.0.2.1"),
			}},
		})
	}
	return c
}

// boot registers an agent for every planned host.
func (w *world) boot(c installer.Cluster, ref installer.Ref) {
	w.t.Helper()
	for _, h := range c.Hosts {
		a := w.agent(h, ref)
		w.agents = append(w.agents, a)
		w.must(a.Register(w.t.Context()))
	}
}

func (w *world) agent(h installer.Host, ref installer.Ref) *assistedtest.Agent {
	return &assistedtest.Agent{
		URL: w.server.URL, InfraEnv: ref.InfraEnvID, ID: h.ID.String(), Hostname: "localhost",
		MAC: h.NICs[0].MAC, Address: h.NICs[0].Address.String(), CPUs: 8, Memory: 16384, Disk: 250, Sync: 2,
	}
}

// until lets agents and engine take turns until done says so.
func (w *world) until(what string, c installer.Cluster, ref installer.Ref, done func(installer.Progress) bool) installer.Progress {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	var p installer.Progress
	for {
		for _, a := range w.agents {
			if !a.Rebooted {
				w.must(a.Poll(ctx))
			}
		}
		var err error
		if p, err = w.engine.Poll(ctx, c, ref); err != nil {
			w.t.Fatalf("poll: %v", err)
		}
		if done(p) {
			return p
		}
		if err := speed.Wait(ctx, 10*time.Second); err != nil {
			w.t.Fatalf("never %s: %+v", what, p)
		}
	}
}

func reached(state installer.State) func(installer.Progress) bool {
	return func(p installer.Progress) bool { return p.State == state }
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) register(c installer.Cluster) installer.Ref {
	w.t.Helper()
	ref, err := w.engine.Register(w.t.Context(), c)
	w.must(err)
	return ref
}

// An exchange is one request with its answer, as it was on the wire.
type exchange struct {
	method, path   string
	request        []byte
	status         int
	response       []byte
	authentication string
}

// A recorder keeps every exchange, and may spoil them.
type recorder struct {
	next http.Handler

	spoiling sync.Mutex
	spoil    spoiler // or nil

	mu        sync.Mutex
	exchanges []exchange
}

// A spoiler may answer in the place of the service; false leaves it alone. It
// has one request at a time.
type spoiler func(w http.ResponseWriter, r *http.Request) bool

func (rec *recorder) spoilBy(s spoiler) {
	rec.spoiling.Lock()
	defer rec.spoiling.Unlock()
	rec.spoil = s
}

func (rec *recorder) spoils(w http.ResponseWriter, r *http.Request) bool {
	rec.spoiling.Lock()
	defer rec.spoiling.Unlock()
	return rec.spoil != nil && rec.spoil(w, r)
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rec.spoils(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	rec.next.ServeHTTP(answer, r)
	rec.mu.Lock()
	rec.exchanges = append(rec.exchanges, exchange{r.Method, r.URL.Path, body, answer.Code, answer.Body.Bytes(), r.Header.Get("Authorization")})
	rec.mu.Unlock()
	for key, values := range answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.Code)
	io.Copy(w, answer.Body) // an error means that the client went away
}

func (rec *recorder) all() []exchange {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]exchange{}, rec.exchanges...)
}

// count is how many requests had this method and path ending.
func (rec *recorder) count(method, path string) int {
	n := 0
	for _, x := range rec.all() {
		if x.method == method && x.path == path {
			n++
		}
	}
	return n
}

func refused(err error) int {
	var r *assisted.Error
	if errors.As(err, &r) {
		return r.Status
	}
	return 0
}
