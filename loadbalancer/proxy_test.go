package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDeadServerIsLeftOut(t *testing.T) {
	l := startLab(t)
	l.nodes[1].kill()
	failed := 0
	eventually(t, 7*time.Second, func() error {
		if _, err := l.get(); err != nil {
			failed++
		}
		servers, err := l.servers(t.Context())
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

// A hung server still accepts connections: only the answer of /readyz tells.
func TestHungServerIsLeftOut(t *testing.T) {
	l := startLab(t)
	l.state(t, 5*time.Second, "control-1", true)
	l.nodes[1].status.Store(hung)
	l.state(t, 7*time.Second, "control-1", false)
}

// readyz says 500 while the API server still works: nothing fails but what is
// in flight when the sessions are cut, here one request at most.
func TestDrainingServerIsLeftOut(t *testing.T) {
	l := startLab(t)
	l.state(t, 5*time.Second, "control-2", true)
	l.nodes[2].status.Store(http.StatusInternalServerError)
	var lost []error
	eventually(t, 7*time.Second, func() error {
		if _, err := l.get(); err != nil {
			lost = append(lost, err)
		}
		servers, err := l.servers(t.Context())
		if err == nil && (servers[2].Up || servers[2].State != "DOWN") {
			err = fmt.Errorf("control-2 is %s", servers[2].State)
		}
		return err
	})
	if len(lost) > 1 {
		t.Errorf("%d requests lost: %v", len(lost), lost)
	}
	for range 6 {
		if who, err := l.get(); err != nil || who == "control-2" {
			t.Errorf("got %q, %v", who, err)
		}
	}
	servers, _ := l.servers(t.Context())
	if got := servers[2].Check; !strings.HasPrefix(got, "L7STS 500") {
		t.Errorf("check says %q, want L7STS 500", got)
	}
}

// A known dead server stays dead over a reload, and a moved one moves.
func TestReloadKeepsStatesAndMovesServers(t *testing.T) {
	l := startLab(t)
	l.nodes[0].kill()
	l.state(t, 7*time.Second, "control-0", false)
	moved := startAPI(t, "control-1", netip.AddrPortFrom(l.nodes[1].Address.Addr(), 7443))
	c := Config{Frontends: []Frontend{l.config.Frontends[0]}}
	c.Frontends[0].Members = []Member{l.nodes[0].Member, moved.Member, l.nodes[2].Member}
	if err := l.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	servers, err := l.servers(t.Context())
	if err != nil || servers[0].Up {
		t.Errorf("the dead server is presumed up: %+v, %v", servers, err)
	}
	if servers[1].Address != moved.Address {
		t.Errorf("the moved server is asked at %s, want %s", servers[1].Address, moved.Address)
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
	c := Config{Frontends: append([]Frontend{}, l.config.Frontends...)}
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
	c := Config{Frontends: []Frontend{{Name: "api", Bind: netip.MustParseAddrPort(busy.Addr().String()), Check: CheckAPI, Members: members("control", "192.0.2.201", 1, 6443)}}}
	_, err = Start(t.Context(), Options{Binary: binary, RunDir: t.TempDir()}, c)
	if err == nil || !strings.Contains(err.Error(), "for proxy api: ") || !strings.Contains(err.Error(), "cannot bind socket (Address already in use)") {
		t.Errorf("got %v, want haproxy's words about the port", err)
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
