package loadbalancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/process"
)

func TestMain(m *testing.M) {
	if os.Getenv(asHAProxy) != "" {
		if err := adapter(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if servers := os.Getenv(asServers); servers != "" {
		if err := beServers(servers); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := settle(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// loopback returns the n-th address of a part of 127/8 that hardly anybody
// else uses at the same time.
func loopback(net uint16, n byte) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(64 + net>>8%128), byte(net), n})
}

// An apiServer is a stand-in for one control plane node: TLS, /readyz, and its
// own name for everything else.
type apiServer struct {
	Member
	status atomic.Int32 // of /readyz
	server *httptest.Server
}

func startAPI(t testing.TB, name string, at netip.AddrPort) *apiServer {
	t.Helper()
	a := &apiServer{Member: Member{Name: name, Address: at}}
	a.status.Store(http.StatusOK)
	a.serve(t)
	return a
}

func (a *apiServer) serve(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", a.Address.String())
	if err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(a.answer))
	a.server.Listener.Close()
	a.server.Listener = l
	a.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.server.StartTLS()
	t.Cleanup(a.kill)
}

// hung is the status of an apiServer that never answers.
const hung = 0

func (a *apiServer) answer(w http.ResponseWriter, r *http.Request) {
	if a.status.Load() == hung {
		<-r.Context().Done()
		return
	}
	if r.URL.Path == "/readyz" || r.URL.Path == "/healthz" {
		w.WriteHeader(int(a.status.Load()))
		return
	}
	io.WriteString(w, a.Name)
}

func (a *apiServer) kill() {
	a.server.CloseClientConnections()
	a.server.Close()
}

// A lab is a proxy with three API servers behind it.
type lab struct {
	*Proxy
	config Config
	nodes  []*apiServer
	front  string
}

func startLab(t testing.TB) *lab {
	t.Helper()
	binary := needHAProxy(t)
	l := &lab{}
	l.nodes, l.config = threeNodes(t)
	l.front = l.config.Frontends[0].Bind.String()
	l.start(t, Options{Binary: binary, RunDir: t.TempDir(), Label: "lab.test"})
	return l
}

// threeNodes starts three API servers, for which it has a frontend.
func threeNodes(t testing.TB) (nodes []*apiServer, c Config) {
	t.Helper()
	net := uint16(rand.UintN(1 << 16))
	f := Frontend{Name: "api", Bind: netip.AddrPortFrom(loopback(net, 1), 6443), Check: CheckAPI}
	for i := range 3 {
		node := startAPI(t, fmt.Sprintf("control-%d", i), netip.AddrPortFrom(loopback(net, byte(11+i)), 6443))
		nodes = append(nodes, node)
		f.Members = append(f.Members, node.Member)
	}
	return nodes, Config{Frontends: []Frontend{f}}
}

func (l *lab) start(t testing.TB, o Options) {
	t.Helper()
	p, err := Start(t.Context(), o, l.config)
	if err != nil {
		t.Fatal(err)
	}
	l.Proxy = p
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// balancers start either balancer, and end it with the test.
func balancers(t testing.TB) map[string]func(testing.TB, Config) Balancer {
	t.Helper()
	binary := needHAProxy(t)
	run := func(mode Mode) func(testing.TB, Config) Balancer {
		return func(t testing.TB, c Config) Balancer {
			t.Helper()
			c.Mode = mode
			b, _, err := Run(t.Context(), Options{Binary: binary, RunDir: t.TempDir()}, c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := b.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			})
			return b
		}
	}
	return map[string]func(testing.TB, Config) Balancer{"haproxy": run(ModeHAProxy), "embedded": run(ModeEmbedded)}
}

// get asks over a fresh connection who answers.
func (l *lab) get() (string, error) {
	client := http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		},
	}
	resp, err := client.Get("https://" + l.front + "/whoami")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// eventually fails the test unless done is nil within d.
func eventually(t testing.TB, d time.Duration, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := until(ctx, done); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) servers(ctx context.Context) ([]Server, error) {
	st, err := l.Stats(ctx)
	return st.Servers, err
}

// state waits for a server to be up or down.
func (l *lab) state(t *testing.T, d time.Duration, name string, up bool) {
	t.Helper()
	eventually(t, d, func() error {
		servers, err := l.servers(t.Context())
		for _, s := range servers {
			if s.Name == name && s.Up == up && s.Check != "" {
				return nil
			}
		}
		return errors.Join(fmt.Errorf("%s is not up=%t: %+v", name, up, servers), err)
	})
}

// running returns the one haproxy of the lab's run directory.
func running(t *testing.T, l *lab) process.ID {
	t.Helper()
	found, err := process.List(func(args []string) bool {
		return isHAProxy(args) && hasOption(args, "-f", l.path("haproxy.cfg"))
	})
	var masters []process.ID
	for _, p := range found {
		if p.Leads() {
			masters = append(masters, p)
		}
	}
	if err != nil || len(masters) != 1 {
		t.Fatalf("%d masters, want 1: %v", len(masters), err)
	}
	return masters[0]
}
