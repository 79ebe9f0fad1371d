package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An embeddedLab is an Embedded with three API servers behind it.
type embeddedLab struct {
	lab
	e *Embedded
}

func startEmbeddedLab(t testing.TB) *embeddedLab {
	t.Helper()
	l := &embeddedLab{lab: lab{front: ""}}
	l.nodes, l.config = threeNodes(t)
	l.front = l.config.Frontends[0].Bind.String()
	e, err := StartEmbedded(t.Context(), l.config)
	if err != nil {
		t.Fatal(err)
	}
	l.e = e
	t.Cleanup(func() { e.Stop(context.Background()) })
	return l
}

func (l *embeddedLab) stats(t *testing.T) Stats {
	t.Helper()
	st, err := l.e.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func (l *embeddedLab) wait(t *testing.T, d time.Duration, name string, up bool) Server {
	t.Helper()
	var found Server
	eventually(t, d, func() error {
		for _, s := range l.stats(t).Servers {
			if s.Name == name && s.Up == up && s.Check != "" {
				found = s
				return nil
			}
		}
		return fmt.Errorf("%s is not up=%t: %+v", name, up, l.stats(t).Servers)
	})
	return found
}

func TestEmbeddedLeavesTheDeadOut(t *testing.T) {
	l := startEmbeddedLab(t)
	l.nodes[1].kill()
	failed := 0
	eventually(t, time.Second, func() error {
		if _, err := l.get(); err != nil {
			failed++
		}
		if s := l.stats(t).Servers[1]; s.Up {
			return fmt.Errorf("still up: %+v", s)
		}
		return nil
	})
	if failed > 0 {
		t.Errorf("%d connections failed: others take them", failed)
	}
	if s := l.stats(t).Servers[1]; s.State != "DOWN" || !strings.Contains(s.Check, "connection refused") || s.Errors < 3 {
		t.Errorf("got %+v", s)
	}
	l.nodes[1].serve(t)
	if s := l.wait(t, 5*time.Second, "control-1", true); s.Check != "L7OK 200" {
		t.Errorf("got %+v", s)
	}
}

// The embedded balancer has haproxy's limits as constants of its own.
func TestEmbeddedHasTheLimitsOfHAProxy(t *testing.T) {
	text, err := Render(topologies[0].config, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]time.Duration{"timeout connect": takeTime, "timeout tunnel": idleTime, "timeout client-fin": finTime, "timeout server-fin": finTime}
	for name, want := range limits {
		_, value, _ := strings.Cut(string(text), "    "+name+" ")
		value, _, _ = strings.Cut(value, "\n")
		if got, err := time.ParseDuration(value); got != want || err != nil {
			t.Errorf("%s %q, %v; embedded %s", name, value, err, want)
		}
	}
	if want := fmt.Sprintf(" error-limit %d ", errorLimit); !strings.Contains(string(text), want) {
		t.Errorf("not%s", want)
	}
}

// Packets that get lost are no outage: who fails to reach servers brings about
// a check, which they pass, and nobody's session is cut.
func TestEmbeddedChecksWhomClientsFailToReach(t *testing.T) {
	l := startEmbeddedLab(t)
	var conns []*held
	for i, node := range l.nodes {
		l.wait(t, 5*time.Second, node.Name, true)
		conns = append(conns, l.hold(t))
		s := (*l.e.frontends["api"].servers.Load())[i]
		for range errorLimit {
			s.observe(syscall.ETIMEDOUT)
		}
		eventually(t, time.Second, func() error {
			if s := l.stats(t).Servers[i]; s.State != "UP" {
				return fmt.Errorf("%+v is not checked again", s)
			}
			return nil
		})
	}
	for _, c := range conns {
		if _, err := c.ask(); err != nil {
			t.Error(err)
		}
	}
}

// Errors in a row that no check and no client contradicts are enough.
func TestClientsLeaveAServerOut(t *testing.T) {
	fell := 0
	h := newHealth(target{check: CheckAPI}, true, func(bool) { fell++ })
	for _, errs := range []int{errorLimit - 1, 2*errorLimit - 1} {
		for range errs {
			h.observe(syscall.ECONNREFUSED)
		}
		if !h.isUp() {
			t.Fatalf("down after %d errors", errs)
		}
		h.observe(nil)
		h.note(true, "L7OK 200")
	}
	for range 2 * errorLimit {
		h.observe(syscall.ECONNREFUSED)
	}
	if _, up, _, said := h.state(); up || fell != 1 || said != "clients' connections: L4CON connection refused" {
		t.Errorf("up %t, fell %d times: %s", up, fell, said)
	}
}

// One that says it is not ready has a second to finish its answers.
func TestEmbeddedLetsAnAnswerFinish(t *testing.T) {
	l := startEmbeddedLab(t)
	l.wait(t, 5*time.Second, "control-2", true)
	var conns []*held
	for range 3 {
		conns = append(conns, l.hold(t))
	}
	l.nodes[2].status.Store(http.StatusInternalServerError)
	if s := l.wait(t, 7*time.Second, "control-2", false); s.Check != "L7STS 500" {
		t.Errorf("got %+v", s)
	}
	for range 6 {
		if who, err := l.get(); err != nil || who == "control-2" {
			t.Errorf("got %q, %v", who, err)
		}
	}
	cut := 0
	eventually(t, 3*time.Second, func() error {
		if n := l.stats(t).Servers[2].Sessions; n > 0 {
			return fmt.Errorf("%d sessions", n)
		}
		return nil
	})
	for _, c := range conns {
		if _, err := c.ask(); err != nil {
			cut++
		}
	}
	if cut != 1 {
		t.Errorf("%d sessions cut, want the one of control-2", cut)
	}
}

func TestEmbeddedNoticesTheHung(t *testing.T) {
	l := startEmbeddedLab(t)
	l.wait(t, 5*time.Second, "control-0", true)
	l.nodes[0].status.Store(hung)
	if s := l.wait(t, 9*time.Second, "control-0", false); s.Check != "L7TOUT" {
		t.Errorf("got %+v", s)
	}
}

func TestEmbeddedMembersLeave(t *testing.T) {
	l := startEmbeddedLab(t)
	conns := []*held{l.hold(t), l.hold(t), l.hold(t)}
	c := Config{Frontends: []Frontend{l.config.Frontends[0]}}
	c.Frontends[0].Members = c.Frontends[0].Members[:2]
	if err := l.e.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if who, err := l.get(); err != nil || who == "control-2" {
			t.Errorf("got %q, %v", who, err)
		}
	}
	for _, c := range conns {
		if _, err := c.ask(); err != nil {
			t.Errorf("a connection was cut: %v", err)
		}
	}
	c.Frontends[0].Members = c.Frontends[0].Members[:1]
	l.nodes[1].kill()
	l.wait(t, 5*time.Second, "control-1", false)
	if err := l.e.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if st := l.stats(t); len(st.Servers) != 1 || !st.Frontends[0].Up {
		t.Errorf("%+v", st)
	}
}

func TestEmbeddedBootstrapLeavesAtOnce(t *testing.T) {
	l := startEmbeddedLab(t)
	c := Config{Frontends: []Frontend{l.config.Frontends[0]}}
	members := append([]Member{}, c.Frontends[0].Members...)
	members[0].Role = RoleBootstrap
	l.nodes[1].kill()
	l.nodes[2].kill()
	c.Frontends[0].Members = members
	if err := l.e.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	l.wait(t, 7*time.Second, "control-1", false)
	l.wait(t, 7*time.Second, "control-2", false)
	l.wait(t, 7*time.Second, "control-0", true)
	conn := l.hold(t)
	if who, err := conn.ask(); who != "control-0" {
		t.Fatalf("got %q, %v", who, err)
	}
	c.Frontends[0].Members = members[1:]
	if err := l.e.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ask(); err == nil {
		t.Error("the session goes on")
	}
	if _, err := l.get(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("with no server: %v, want a reset", err)
	}
}

func TestEmbeddedChangesAllOrNothing(t *testing.T) {
	l := startEmbeddedLab(t)
	busy, err := net.Listen("tcp", netip.AddrPortFrom(l.config.Frontends[0].Bind.Addr(), 443).String())
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	c := Config{Frontends: append([]Frontend{}, l.config.Frontends...)}
	c.Frontends[0].Members = c.Frontends[0].Members[:1]
	c.Frontends = append(c.Frontends, Frontend{
		Name: "ingress-https", Bind: netip.MustParseAddrPort(busy.Addr().String()), Check: CheckRouter, Members: l.config.Frontends[0].Members,
	})
	if err := l.e.Apply(t.Context(), c); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "ingress-https") {
		t.Errorf("got %v", err)
	}
	if st := l.stats(t); len(st.Servers) != 3 {
		t.Errorf("%d servers after a change that failed", len(st.Servers))
	}
	busy.Close()
	if err := l.e.Apply(t.Context(), c); err != nil {
		t.Errorf("the port is free now: %v", err)
	}
	if st := l.stats(t); len(st.Servers) != 4 || len(st.Frontends) != 2 {
		t.Errorf("%+v", st)
	}
}

// Changes of frontends are hitless too: the sockets stay.
func TestEmbeddedChangesLoseNothing(t *testing.T) {
	l := startEmbeddedLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				if _, err := l.get(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 50 {
		c := Config{Frontends: []Frontend{l.config.Frontends[0]}}
		c.Frontends[0].Allow = []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("127.0.0.0"), 8-i%2)}
		c.Frontends[0].Members = c.Frontends[0].Members[:2+i%2]
		if err := l.e.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := l.get(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	group.Wait()
}

// A client keeps its router as long as that is there; the others' clients do
// not move when one goes.
func TestSourceChoosesTheRouter(t *testing.T) {
	f := new(frontend)
	f.spec.Store(&Frontend{Check: CheckRouter})
	var all []*server
	for i := range 4 {
		up := newHealth(target{check: CheckRouter}, true, func(bool) {})
		all = append(all, &server{Member: Member{Name: fmt.Sprintf("worker-%d", i)}, health: up})
	}
	f.servers.Store(&all)
	before, load := map[netip.Addr]*server{}, map[*server]int{}
	for i := range 1000 {
		client := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		before[client] = f.pick(client, f.able(nil))
		load[before[client]]++
	}
	for s, n := range load {
		if n < 150 || n > 350 {
			t.Errorf("%s has %d of 1000 clients", s.Name, n)
		}
	}
	all[1].draining.Store(true)
	for client, had := range before {
		if now := f.pick(client, f.able(nil)); now == all[1] || had != all[1] && now != had {
			t.Fatalf("%s moved from %s to %s", client, had.Name, now.Name)
		}
	}
}

func TestHealthWordsErrorsAsHAProxyDoes(t *testing.T) {
	h := newHealth(target{CheckRouter, netip.MustParseAddrPort("127.0.0.1:1")}, true, func(bool) {})
	if ok, said := h.ask(t.Context()); ok || said != "L4CON connection refused" {
		t.Errorf("got %t, %q", ok, said)
	}
	if got := layer("L7", context.DeadlineExceeded); got != "L7TOUT" {
		t.Errorf("got %q", got)
	}
	if got := layer("L6", errors.New("odd\nline")); got != "L6RSP oddline" {
		t.Errorf("got %q", got)
	}
}
