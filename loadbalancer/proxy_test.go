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
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
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
	a := &apiServer{Member: Member{name, at}}
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

func (a *apiServer) answer(w http.ResponseWriter, r *http.Request) {
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
	l.config = Config{[]Frontend{f}}
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

func TestDeadServerIsLeftOut(t *testing.T) {
	l := startLab(t)
	l.nodes[1].kill()
	failed := 0
	eventually(t, 7*time.Second, func() error {
		if _, err := l.get(); err != nil {
			failed++
		}
		servers, err := l.Servers(t.Context())
		if err == nil && servers[1].Up {
			err = errors.New("control-1 is still up")
		}
		return err
	})
	if failed > 3 {
		t.Errorf("%d requests failed, want at most 3", failed)
	}
	for range 12 {
		if who, err := l.get(); err != nil || who == "control-1" {
			t.Errorf("got %q, %v", who, err)
		}
	}
	l.nodes[1].serve(t)
	l.state(t, 10*time.Second, "control-1", true)
}

// readyz says 500 while the API server still works: no request may be lost.
func TestDrainingServerLosesNothing(t *testing.T) {
	l := startLab(t)
	l.state(t, 5*time.Second, "control-2", true)
	l.nodes[2].status.Store(http.StatusInternalServerError)
	eventually(t, 7*time.Second, func() error {
		if _, err := l.get(); err != nil {
			t.Errorf("a request is lost: %v", err)
		}
		servers, err := l.Servers(t.Context())
		if err == nil && (servers[2].Up || servers[2].State != "DOWN") {
			err = fmt.Errorf("control-2 is %s", servers[2].State)
		}
		return err
	})
	servers, _ := l.Servers(t.Context())
	if got := servers[2].Check; !strings.HasPrefix(got, "L7STS 500") {
		t.Errorf("check says %q, want L7STS 500", got)
	}
}

func TestReloadUnderLoadLosesNothing(t *testing.T) {
	l := startLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	type result struct{ asked, lost int }
	results := make(chan result)
	for range 4 {
		go func() {
			var r result
			for ; ctx.Err() == nil; r.asked++ {
				if _, err := l.get(); err != nil {
					r.lost++
				}
			}
			results <- r
		}()
	}
	for i := range 6 {
		c := Config{[]Frontend{l.config.Frontends[0]}}
		c.Frontends[0].Members = c.Frontends[0].Members[:2+i%2]
		if err := l.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		servers, err := l.Servers(t.Context())
		if want := len(c.Frontends[0].Members); err != nil || len(servers) != want {
			t.Fatalf("%d servers after the reload, want %d: %v", len(servers), want, err)
		}
	}
	cancel()
	var sum result
	for range 4 {
		r := <-results
		sum.asked, sum.lost = sum.asked+r.asked, sum.lost+r.lost
	}
	if sum.lost > 0 || sum.asked < 20 {
		t.Errorf("%d of %d requests lost in 6 reloads", sum.lost, sum.asked)
	}
}

// A known dead server stays dead over a reload, and a moved one moves.
func TestReloadKeepsStatesAndMovesServers(t *testing.T) {
	l := startLab(t)
	l.nodes[0].kill()
	l.state(t, 7*time.Second, "control-0", false)
	moved := startAPI(t, "control-1", netip.AddrPortFrom(l.nodes[1].Address.Addr(), 7443))
	c := Config{[]Frontend{l.config.Frontends[0]}}
	c.Frontends[0].Members = []Member{l.nodes[0].Member, moved.Member, l.nodes[2].Member}
	if err := l.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	servers, err := l.Servers(t.Context())
	if err != nil || servers[0].Up {
		t.Errorf("the dead server is presumed up: %+v, %v", servers, err)
	}
	if servers[1].Address != moved.Address {
		t.Errorf("the moved server is asked at %s, want %s", servers[1].Address, moved.Address)
	}
}

func TestMachineConfigOnlyForTheMachineNetwork(t *testing.T) {
	binary := needHAProxy(t)
	net := uint16(rand.UintN(1 << 16))
	node := startAPI(t, "control-0", netip.AddrPortFrom(loopback(net, 11), 22623))
	l := &lab{front: netip.AddrPortFrom(loopback(net, 1), 22623).String()}
	f := Frontend{Name: "machine-config", Bind: netip.MustParseAddrPort(l.front), Check: CheckMachine, Members: []Member{node.Member}}
	f.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	l.config = Config{[]Frontend{f}}
	l.start(t, Options{Binary: binary, RunDir: t.TempDir()})
	if who, err := l.get(); err == nil {
		t.Errorf("%s handed its ignition config to 127.0.0.1", who)
	}
	f.Allow = append(f.Allow, netip.MustParsePrefix("127.0.0.0/8"))
	if err := l.Apply(t.Context(), Config{[]Frontend{f}}); err != nil {
		t.Fatal(err)
	}
	if who, err := l.get(); who != "control-0" {
		t.Errorf("an allowed client got %q, %v", who, err)
	}
}

func TestKilledHAProxyComesBack(t *testing.T) {
	l := startLab(t)
	before := running(t, l)
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, func() error {
		if l.Restarts() == 0 {
			return errors.New("not restarted")
		}
		_, err := l.get()
		return err
	})
	if after := running(t, l); after == before {
		t.Error("the same process after a kill")
	}
}

// running returns the one haproxy of the lab's run directory.
func running(t *testing.T, l *lab) Process {
	t.Helper()
	found, err := Processes(func(args []string) bool {
		return isHAProxy(args) && hasOption(args, "-f", l.path("haproxy.cfg"))
	})
	var masters []Process
	for _, p := range found {
		if p.target() < 0 {
			masters = append(masters, p)
		}
	}
	if err != nil || len(masters) != 1 {
		t.Fatalf("%d masters, want 1: %v", len(masters), err)
	}
	return masters[0]
}

func TestGivesUpAfterFiveDeaths(t *testing.T) {
	l := startLab(t)
	// What haproxy would need to start again is gone for good.
	write(t, l.path("haproxy.cfg"), "bogus\n")
	syscall.Kill(running(t, l).PID, syscall.SIGKILL)
	eventually(t, 15*time.Second, func() error {
		if l.Err() == nil {
			return errors.New("no error")
		}
		return nil
	})
	if err := l.Err(); !strings.Contains(err.Error(), "died 6 times within a minute") || !strings.Contains(err.Error(), "unknown keyword 'bogus'") {
		t.Errorf("got %v", err)
	}
	if err := l.Apply(t.Context(), l.config); err != nil || l.Err() != nil {
		t.Errorf("a sound configuration does not help: %v, %v", err, l.Err())
	}
}

func TestRefusedReloadKeepsTheOld(t *testing.T) {
	l := startLab(t)
	busy, err := net.Listen("tcp", netip.AddrPortFrom(l.config.Frontends[0].Bind.Addr(), 443).String())
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	before, _ := os.ReadFile(l.path("haproxy.cfg"))
	c := Config{append([]Frontend{}, l.config.Frontends...)}
	c.Frontends = append(c.Frontends, Frontend{
		Name: "ingress-https", Bind: netip.MustParseAddrPort(busy.Addr().String()), Check: CheckRouter, Members: l.config.Frontends[0].Members,
	})
	err = l.Apply(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "ingress-https") {
		t.Errorf("got %v, want what haproxy says of the frontend", err)
	}
	if who, err := l.get(); err != nil {
		t.Errorf("the old configuration does not work any more: %q, %v", who, err)
	}
	if after, _ := os.ReadFile(l.path("haproxy.cfg")); string(after) != string(before) {
		t.Error("the refused file is in place")
	}
	busy.Close()
	if err := l.Apply(t.Context(), c); err != nil {
		t.Errorf("the port is free now: %v", err)
	}
}

func TestStartOnBusyPortSaysSo(t *testing.T) {
	binary := needHAProxy(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	c := Config{[]Frontend{{Name: "api", Bind: netip.MustParseAddrPort(busy.Addr().String()), Check: CheckAPI, Members: members("control", "192.0.2.201", 1, 6443)}}}
	_, err = Start(t.Context(), Options{Binary: binary, RunDir: t.TempDir()}, c)
	if err == nil || !strings.Contains(err.Error(), "frontend api") {
		t.Errorf("got %v, want haproxy's words about the port", err)
	}
}

// A crash of ours leaves haproxy running: the next Start ends it first.
func TestStartEndsWhatACrashLeft(t *testing.T) {
	l := startLab(t)
	o := l.Proxy.o
	old := running(t, l)
	l.Proxy.mu.Lock()
	l.Proxy.stopped = true // nobody watches it any more
	l.Proxy.mu.Unlock()
	l.start(t, o)
	if now := running(t, l); now == old {
		t.Error("the old haproxy is still there")
	}
	if found, err := Running("lab.test"); err != nil || len(found) == 0 {
		t.Errorf("found %v, %v by its label", found, err)
	}
	if _, err := l.get(); err != nil {
		t.Error(err)
	}
}

func TestUnchangedConfigIsLeftAlone(t *testing.T) {
	l := startLab(t)
	before, err := l.procs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(t.Context(), l.config); err != nil {
		t.Fatal(err)
	}
	if after, err := l.procs(t.Context()); after != before || err != nil {
		t.Errorf("got %+v, %v; want %+v", after, err, before)
	}
}

func TestHealthSocketAnswers(t *testing.T) {
	l := startLab(t)
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(l.o.RunDir, "health.sock"))
		},
	}}
	resp, err := client.Get("http://localhost/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}
