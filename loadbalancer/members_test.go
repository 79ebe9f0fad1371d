package loadbalancer

import (
	"fmt"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/testbed"
)

// Members come and go without a reload: one that works may finish.
func TestMembersChangeAtRunTime(t *testing.T) {
	l := startLab(t)
	if l.o.Binary.Version.Less(runtimeServers) {
		testbed.Missing(t, "haproxy %s or newer: this is %s", runtimeServers, l.o.Binary.Version)
	}
	worker := workerOf(t, l.Proxy)
	var conns []*held
	for range 3 {
		conns = append(conns, l.hold(t))
	}
	all := l.config
	two := Config{Frontends: []Frontend{all.Frontends[0]}}
	two.Frontends[0].Members = all.Frontends[0].Members[:2]
	if err := l.Apply(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if worker != workerOf(t, l.Proxy) {
		t.Error("it was reloaded")
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
		c.Close()
	}
	eventually(t, 5*time.Second, func() error {
		if s, err := l.servers(t.Context()); err != nil || len(s) != 2 {
			return fmt.Errorf("%d servers, %v", len(s), err)
		}
		return nil
	})
	if err := l.Apply(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	l.state(t, 5*time.Second, "control-2", true)
	if worker != workerOf(t, l.Proxy) {
		t.Error("it was reloaded")
	}
}

// One that comes back while it drains, drains no more.
func TestDrainingMemberComesBack(t *testing.T) {
	l := startLab(t)
	conns := []*held{l.hold(t), l.hold(t), l.hold(t)}
	all := l.config
	two := Config{Frontends: []Frontend{all.Frontends[0]}}
	two.Frontends[0].Members = all.Frontends[0].Members[:2]
	for _, c := range []Config{two, all} {
		if err := l.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range conns {
		if _, err := c.ask(); err != nil {
			t.Errorf("a connection was cut: %v", err)
		}
	}
	eventually(t, 5*time.Second, func() error {
		if who, err := l.get(); who != "control-2" {
			return fmt.Errorf("got %q, %v", who, err)
		}
		return nil
	})
}

// The bootstrap host serves until a control plane node does; when it leaves,
// its sessions are reset.
func TestBootstrapLeavesAtOnce(t *testing.T) {
	l := startLab(t)
	members := l.config.Frontends[0].Members
	with := Config{Frontends: []Frontend{l.config.Frontends[0]}}
	members[0].Role = RoleBootstrap
	with.Frontends[0].Members = members
	l.nodes[1].kill()
	l.nodes[2].kill()
	if err := l.Apply(t.Context(), with); err != nil {
		t.Fatal(err)
	}
	l.state(t, 7*time.Second, "control-1", false)
	l.state(t, 7*time.Second, "control-2", false)
	conn := l.hold(t)
	if who, err := conn.ask(); who != "control-0" {
		t.Fatalf("got %q, %v", who, err)
	}
	l.nodes[1].serve(t)
	l.state(t, 10*time.Second, "control-1", true)
	if who, err := l.get(); who != "control-1" {
		t.Errorf("got %q, %v; want the control plane", who, err)
	}
	without := Config{Frontends: []Frontend{with.Frontends[0]}}
	without.Frontends[0].Members = members[1:]
	if err := l.Apply(t.Context(), without); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Second, func() error { // haproxy does it when it comes to it
		if who, err := conn.ask(); err == nil {
			return fmt.Errorf("the session with %s goes on", who)
		}
		return nil
	})
}
