package netlab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lab is a datacentre 192.0.2.1/24 with 198.51.100.10 behind it, and this
// process as 192.0.2.210.
func lab(t *testing.T) *Lab {
	t.Helper()
	l, err := New()
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	must(t, l.AddSegment("lan", netip.MustParsePrefix("192.0.2.1/24")))
	must(t, l.AddRemote(netip.MustParseAddr("198.51.100.10")))
	must(t, l.Connect("lan", "eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24")}, netip.MustParseAddr("192.0.2.1")))
	return l
}

func machine(t *testing.T, l *Lab, mac, addr string) *Port {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	must(t, err)
	p, err := l.AddMachine("lan", hw)
	must(t, err)
	must(t, p.Configure([]netip.Prefix{netip.MustParsePrefix(addr)}, netip.MustParseAddr("192.0.2.1"), 1400))
	must(t, p.Up())
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// greet serves connections with the greeting until the test ends.
func greet(t *testing.T, n *Namespace, address, greeting string) {
	t.Helper()
	l, err := n.Listen("tcp", address)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, greeting)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

func ask(t *testing.T, n *Namespace, address string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := n.Dial(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	text, err := io.ReadAll(c)
	return string(text), err
}

func TestEverybodyReachesEverybody(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	a := machine(t, l, "02:00:00:00:00:0a", "192.0.2.10/24")
	b := machine(t, l, "02:00:00:00:00:0b", "192.0.2.11/24")
	greet(t, a.Namespace, "192.0.2.10:22", "a")
	greet(t, l.Home(), "192.0.2.210:53", "services")
	greet(t, l.Datacentre(), "198.51.100.10:8006", "pve")
	for _, tt := range []struct {
		name    string
		from    *Namespace
		address string
		want    string
	}{
		{"machine to machine", b.Namespace, "192.0.2.10:22", "a"},
		{"machine to itself", a.Namespace, "192.0.2.10:22", "a"},
		{"services to machine", l.Home(), "192.0.2.10:22", "a"},
		{"machine to services", a.Namespace, "192.0.2.210:53", "services"},
		{"machine through gateway", b.Namespace, "198.51.100.10:8006", "pve"},
		{"services through gateway", l.Home(), "198.51.100.10:8006", "pve"},
		{"datacentre to machine", l.Datacentre(), "192.0.2.10:22", "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ask(t, tt.from, tt.address); err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestMachineHasItsMACAndMTU(t *testing.T) {
	if !inside(t) {
		return
	}
	m := machine(t, lab(t), "02:00:00:00:00:0a", "192.0.2.10/24")
	must(t, m.Do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		must(t, err)
		if eth0.HardwareAddr.String() != "02:00:00:00:00:0a" || eth0.MTU != 1400 {
			t.Errorf("got MAC %s MTU %d", eth0.HardwareAddr, eth0.MTU)
		}
		return nil
	}))
}

// Who knows the datacentre's address keeps reaching it while machines come and
// go, whatever their cables' MACs are.
func TestSegmentKeepsItsMAC(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	mac := func() (mac string) {
		must(t, l.Datacentre().Do(func() error {
			br, err := net.InterfaceByName(l.segments["lan"].Attrs().Name)
			must(t, err)
			mac = br.HardwareAddr.String()
			return nil
		}))
		return mac
	}
	want := mac()
	for i := range 20 {
		p, err := l.AddMachine("lan", net.HardwareAddr{2, 0, 0, 0, 1, byte(i)})
		must(t, err)
		must(t, p.Up())
		if got := mac(); got != want {
			t.Fatalf("%d machines later the MAC is %s, it was %s", i+1, got, want)
		}
	}
}

func TestConfigureReplacesAddresses(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	m := machine(t, l, "02:00:00:00:00:0a", "192.0.2.10/24")
	must(t, m.Configure([]netip.Prefix{netip.MustParsePrefix("192.0.2.99/24")}, netip.Addr{}, 0))
	greet(t, m.Namespace, "0.0.0.0:22", "moved")
	if got, err := ask(t, l.Home(), "192.0.2.99:22"); err != nil || got != "moved" {
		t.Errorf("new address: got %q, %v", got, err)
	}
	if _, err := m.Listen("tcp", "192.0.2.10:23"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("old address: got %v, want EADDRNOTAVAIL", err)
	}
	if _, err := ask(t, m.Namespace, "198.51.100.10:1"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("old gateway: got %v, want ENETUNREACH", err)
	}
}

func TestPowerOffIsSilence(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	m := machine(t, l, "02:00:00:00:00:0a", "192.0.2.10/24")
	if _, err := ask(t, l.Home(), "192.0.2.10:22"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("up, nobody listens: got %v, want ECONNREFUSED", err)
	}
	must(t, m.Down())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := l.Home().Dial(ctx, "tcp", "192.0.2.10:22"); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("down: got %v, want a timeout", err)
	}
	must(t, m.Up())
	greet(t, m.Namespace, "192.0.2.10:22", "back")
	if got, err := ask(t, l.Home(), "192.0.2.10:22"); err != nil || got != "back" {
		t.Errorf("up again: got %q, %v", got, err)
	}
}

func TestSocketsStayInTheirNamespace(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	a := machine(t, l, "02:00:00:00:00:0a", "192.0.2.10/24")
	b := machine(t, l, "02:00:00:00:00:0b", "192.0.2.11/24")
	greet(t, a.Namespace, "127.0.0.1:22", "a")
	greet(t, b.Namespace, "127.0.0.1:22", "b")
	var wg sync.WaitGroup
	for range 20 {
		for n, want := range map[*Namespace]string{a.Namespace: "a", b.Namespace: "b"} {
			wg.Go(func() {
				if got, err := ask(t, n, "127.0.0.1:22"); err != nil || got != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			})
		}
	}
	wg.Wait()
	if _, err := ask(t, l.Home(), "127.0.0.1:22"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("from outside: got %v, want ECONNREFUSED", err)
	}
}

func TestTheFirstThreadStaysAtHome(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	home, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			must(t, l.Datacentre().Do(func() error {
				if unix.Gettid() == unix.Getpid() {
					t.Error("the first thread left its namespace")
				}
				return nil
			}))
		})
	}
	wg.Wait()
	for _, thread := range threads(t) {
		if thread != home {
			t.Errorf("a thread stayed in %s, home is %s", thread, home)
		}
	}
}

func threads(t *testing.T) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/self/task/*/ns/net")
	must(t, err)
	return readlinks(links)
}

func readlinks(paths []string) []string {
	var targets []string
	for _, p := range paths {
		if target, err := os.Readlink(p); err == nil {
			targets = append(targets, target)
		}
	}
	return targets
}

func TestNamesAreRefused(t *testing.T) {
	if !inside(t) {
		return
	}
	const want = `address "pve.lab.test:8006": not an IP literal`
	if _, err := lab(t).Home().Dial(t.Context(), "tcp", "pve.lab.test:8006"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSegmentsAreApartUntilRouted(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	must(t, l.AddSegment("far", netip.MustParsePrefix("203.0.113.1/24")))
	p, err := l.AddMachine("far", net.HardwareAddr{2, 0, 0, 0, 0, 0x0f})
	must(t, err)
	must(t, p.Up())
	must(t, p.Configure([]netip.Prefix{netip.MustParsePrefix("203.0.113.10/24")}, netip.MustParseAddr("203.0.113.1"), 0))
	greet(t, p.Namespace, "203.0.113.10:22", "far")
	must(t, l.Route())
	if got, err := ask(t, l.Home(), "203.0.113.10:22"); err != nil || got != "far" {
		t.Errorf("routed: got %q, %v", got, err)
	}
	if _, err := l.AddMachine("none", nil); err == nil || err.Error() != "segment none: no such segment" {
		t.Errorf("unknown segment: got %v", err)
	}
	must(t, l.AddSegment("far", netip.MustParsePrefix("203.0.113.129/25")))
	greet(t, l.Datacentre(), "203.0.113.129:53", "same wire")
	if got, err := ask(t, p.Namespace, "203.0.113.129:53"); err != nil || got != "same wire" {
		t.Errorf("second address of a segment: got %q, %v", got, err)
	}
}

func TestIPv6(t *testing.T) {
	if !inside(t) {
		return
	}
	l, err := New()
	must(t, err)
	defer l.Close()
	must(t, l.AddSegment("lan", netip.MustParsePrefix("2001:db8::1/64")))
	must(t, l.AddRemote(netip.MustParseAddr("2001:db8:1::10")))
	must(t, l.Connect("lan", "eth0", []netip.Prefix{netip.MustParsePrefix("2001:db8::210/64")}, netip.MustParseAddr("2001:db8::1")))
	greet(t, l.Datacentre(), "[2001:db8:1::10]:8006", "pve")
	if got, err := ask(t, l.Home(), "[2001:db8:1::10]:8006"); err != nil || got != "pve" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	if !inside(t) {
		return
	}
	l, err := New()
	must(t, err)
	must(t, l.AddSegment("lan", netip.MustParsePrefix("192.0.2.1/24")))
	must(t, l.Connect("lan", "eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24")}, netip.Addr{}))
	kept := machine(t, l, "02:00:00:00:00:0a", "192.0.2.10/24")
	must(t, machine(t, l, "02:00:00:00:00:0b", "192.0.2.11/24").Close())
	must(t, l.Close())
	must(t, kept.Close())
	must(t, l.Close())
	for what, err := range map[string]error{
		"Up": kept.Up(), "Down": kept.Down(), "Configure": kept.Configure(nil, netip.Addr{}, 0), "AddSegment": l.AddSegment("new"),
		"AddRemote": l.AddRemote(netip.MustParseAddr("198.51.100.99")),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close: got %v", what, err)
		}
	}
	left, err := net.Interfaces()
	must(t, err)
	if len(left) != 1 || left[0].Name != "lo" {
		t.Errorf("interfaces left: %v", left)
	}
	fds, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	for _, target := range readlinks(fds) {
		if strings.HasPrefix(target, "net:") {
			t.Errorf("namespace left open: %s", target)
		}
	}
}

func TestBroadcastsReachTheSegmentBeforeThereIsAnAddress(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	must(t, l.AddSegment("other", netip.MustParsePrefix("203.0.113.1/24")))
	server, err := l.ListenSegment("lan", 67)
	must(t, err)
	defer server.Close()
	other, err := l.ListenSegment("other", 67)
	must(t, err)
	defer other.Close()
	p, err := l.AddMachine("lan", net.HardwareAddr{2, 0, 0, 0, 0, 10})
	must(t, err)
	must(t, p.Up())
	must(t, p.Configure(nil, netip.Addr{}, 0))
	client, err := p.Broadcast(68)
	must(t, err)
	defer client.Close()
	everybody := func(port int) net.Addr { return &net.UDPAddr{IP: net.IPv4bcast, Port: port} }
	text := make([]byte, 16)
	heard := false
	for range 50 { // the first ones may come before the cable is up
		client.WriteTo([]byte("discover"), everybody(67))
		server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, _, err := server.ReadFrom(text)
		if heard = err == nil && string(text[:n]) == "discover"; heard {
			break
		}
	}
	if !heard {
		t.Fatal("the datacentre hears nothing")
	}
	_, err = server.WriteTo([]byte("offer"), everybody(68))
	must(t, err)
	must(t, client.SetReadDeadline(time.Now().Add(5*time.Second)))
	if n, from, err := client.ReadFrom(text); err != nil || string(text[:n]) != "offer" || from.String() != "192.0.2.1:67" {
		t.Errorf("heard %q from %v, %v", text[:n], from, err)
	}
	must(t, other.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if n, _, err := other.ReadFrom(text); err == nil {
		t.Errorf("another segment heard %q", text[:n])
	}
}
