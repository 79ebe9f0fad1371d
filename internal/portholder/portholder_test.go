package portholder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
)

func own(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		testbed.Missing(t, "/proc of Linux: %v", err)
	}
	return strings.TrimSpace(string(name))
}

func TestHolderIsFound(t *testing.T) {
	want := own(t)
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		for network, bind := range map[string]func(string) (net.Addr, func() error){"tcp": bindTCP, "udp": bindUDP} {
			addr, done := bind(address)
			if addr == nil {
				t.Logf("%s %s cannot be bound here", network, address)
				continue
			}
			at := addr.(interface{ AddrPort() netip.AddrPort }).AddrPort()
			if name, pid, ok := Holder(network, at); !ok || name != want || pid != os.Getpid() {
				t.Errorf("%s %s: %s %d %t", network, at, name, pid, ok)
			}
			if err := Probe(network, at); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%s %s: %v", network, at, err)
			}
			done()
			if err := Probe(network, at); err != nil {
				t.Errorf("free again: %v", err)
			}
			if _, _, ok := Holder(network, at); ok {
				t.Errorf("%s %s: still held", network, at)
			}
		}
	}
}

func bindTCP(address string) (net.Addr, func() error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil
	}
	return l.Addr(), l.Close
}

func bindUDP(address string) (net.Addr, func() error) {
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, nil
	}
	return c.LocalAddr(), c.Close
}

func TestExplain(t *testing.T) {
	at := netip.MustParseAddrPort("203.0.113.210:53")
	for _, c := range []struct {
		cause     error
		want, how string
	}{
		{syscall.EADDRNOTAVAIL, "bind udp 203.0.113.210:53: no interface of this host has the address: cannot assign requested address", "ip addr add 203.0.113.210/32 dev INTERFACE"},
		{syscall.EACCES, "bind udp 203.0.113.210:53: permission denied", "net.ipv4.ip_unprivileged_port_start=53"},
		{syscall.EADDRINUSE, "bind udp 203.0.113.210:53: address already in use", "ss -lnp 'sport = :53'"},
		{syscall.EMFILE, "bind udp 203.0.113.210:53: too many open files", ""},
	} {
		err := Explain("udp", at, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", c.cause)})
		if c.cause == syscall.EMFILE {
			c.want = fmt.Sprintf("bind udp %s: listen: bind: %v", at, c.cause)
		}
		if err.Error() != c.want || !errors.Is(err, c.cause) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if got := hint.Of(err); !strings.Contains(got, c.how) || (got == "") != (c.how == "") {
			t.Errorf("%v: hint %q, want %q in it", c.cause, got, c.how)
		}
	}
	if err := Explain("udp", at, nil); err != nil {
		t.Error(err)
	}
}

func TestAddressOfAKnownNetworkNamesItsInterface(t *testing.T) {
	if got, want := addAddress(netip.MustParseAddr("127.9.9.9")), "ip addr add 127.9.9.9/8 dev lo"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWayOut(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.53:53")
	if got := wayOut("slipway", os.Getpid(), at); strings.Contains(got, "kill") {
		t.Errorf("advises to end this process: %s", got)
	}
	for name, want := range map[string]string{
		"systemd-resolve": "DNSStubListener=no",
		"dnsmasq":         "except-interface=lo",
		"slipway":         "kill 812",
		"named":           "stop named (kill 812",
	} {
		if got := wayOut(name, 812, at); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", name, got, want)
		}
	}
}

// A table as the kernel prints it, in this host's byte order.
func TestSocketsInTheWay(t *testing.T) {
	line := func(addr string, port int, state string, inode int) string {
		b := netip.MustParseAddr(addr).AsSlice()
		for i := 0; i < len(b); i += 4 {
			binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
		}
		return fmt.Sprintf("   0: %X:%04X 00000000:0000 %s 00000000:00000000 00:00000000 00000000   101        0 %d 2\n", b, port, state, inode)
	}
	table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		line("127.0.0.53", 53, "0A", 1) + line("0.0.0.0", 53, "0A", 2) + line("192.0.2.210", 53, "01", 3) +
		line("::", 53, "0A", 4) + line("::ffff:192.0.2.210", 53, "0A", 5) + line("192.0.2.210", 5353, "0A", 6) + "torn line\n"
	for _, c := range []struct {
		network, addr string
		want          []string
	}{
		{"tcp", "192.0.2.210:53", []string{"2", "4", "5"}},
		{"udp", "192.0.2.210:53", []string{"2", "3", "4", "5"}}, // UDP sockets have no listening state
		{"tcp", "127.0.0.53:53", []string{"1", "2", "4"}},
		{"tcp", "[2001:db8::1]:53", []string{"4"}},
		{"tcp", "0.0.0.0:53", []string{"1", "2", "4", "5"}},
		{"tcp", "192.0.2.210:80", nil},
	} {
		if got := scan(strings.NewReader(table), c.network, netip.MustParseAddrPort(c.addr)); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %v, want %v", c.network, c.addr, got, c.want)
		}
	}
}
