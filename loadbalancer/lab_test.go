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
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func startAPI(t *testing.T, name string, at netip.AddrPort) *apiServer {
	t.Helper()
	a := &apiServer{Member: Member{Name: name, Address: at}}
	a.status.Store(http.StatusOK)
	a.serve(t)
	return a
}

func (a *apiServer) serve(t *testing.T) {
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

func startLab(t *testing.T) *lab {
	t.Helper()
	binary := needHAProxy(t)
	net := uint16(rand.UintN(1 << 16))
	l := &lab{front: netip.AddrPortFrom(loopback(net, 1), 6443).String()}
	f := Frontend{Name: "api", Bind: netip.MustParseAddrPort(l.front), Check: CheckAPI}
	for i := range 3 {
		node := startAPI(t, fmt.Sprintf("control-%d", i), netip.AddrPortFrom(loopback(net, byte(11+i)), 6443))
		l.nodes = append(l.nodes, node)
		f.Members = append(f.Members, node.Member)
	}
	l.config = Config{Frontends: []Frontend{f}}
	l.start(t, Options{Binary: binary, RunDir: t.TempDir(), Label: "lab.test"})
	return l
}

func (l *lab) start(t *testing.T, o Options) {
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
func eventually(t *testing.T, d time.Duration, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := until(ctx, done); err != nil {
		t.Fatal(err)
	}
}

// state waits for a server to be up or down.
func (l *lab) state(t *testing.T, d time.Duration, name string, up bool) {
	t.Helper()
	eventually(t, d, func() error {
		servers, err := l.Servers(t.Context())
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
