package qemu

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/provision/provider"
)

// decline tells the server, as a machine does whose address answers to ARP
// already, that it will not have it (RFC 2131, 3.1.5).
func decline(t *testing.T) {
	t.Helper()
	m, err := dhcpv4.New(dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 1}), dhcpv4.WithMessageType(dhcpv4.MessageTypeDecline),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(192, 0, 2, 10))))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := server4.NewIPv4UDPConn("segment0", &net.UDPAddr{Port: dhcpv4.ClientPort})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}); err != nil {
		t.Fatal(err)
	}
}

var clock = regexp.MustCompile(`at \d\d:\d\d:\d\d`)

// Strangers and addresses that are taken are told of, by notices and by
// preflight.
func TestNoticesOfAPrivateNetwork(t *testing.T) {
	needTaps(t)
	p, _ := onPrivate(t)
	n := theNet()
	n.Segments[0].Reservations = []dhcpserver.Reservation{{Name: "control-0", MAC: dhcpserver.MAC{2, 0, 0, 0, 0, 1}, Address: netip.MustParseAddr("192.0.2.10")}}
	if _, err := p.EnsureNet(within(t), mark, n); err != nil {
		t.Fatal(err)
	}
	if got := said(t, enter(t, p, "lease")); got != "nothing" {
		t.Errorf("a stranger is given %s", got)
	}
	if got := said(t, enter(t, p, "decline")); got != "declined" {
		t.Fatal(got)
	}
	want := []string{
		"segment0: control-0 found its address 192.0.2.10 taken by another host, at TIME",
		"segment0: 02:00:00:00:00:00 asks for an address by DHCP, has no reservation, and gets no answer, at TIME",
	}
	var got []string
	until(t, "both are told of", func() bool {
		all, err := p.Notices(within(t), mark)
		if err != nil {
			t.Fatal(err)
		}
		got = strings.Split(clock.ReplaceAllString(strings.Join(all, "\n"), "at TIME"), "\n")
		return len(all) == len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	sameProblems(t, []string{"warn: segment0: control-0 found its address", "warn: segment0: 02:00:00:00:00:00 asks"},
		p.Check(within(t), provider.Request{Machines: []provider.Machine{asked(0)}}))
}

// A rival is told of as long as it answers.
func TestBoard(t *testing.T) {
	dir := t.TempDir()
	b := newBoard(dir)
	notice := b.of("segment0")
	rival := dhcpserver.Notice{Kind: dhcpserver.Rival, Address: netip.MustParseAddr("192.0.2.7")}
	for _, step := range []struct {
		n    dhcpserver.Notice
		want int
	}{
		{dhcpserver.Notice{Kind: dhcpserver.Granted, Name: "control-0"}, 0}, {rival, 1}, {rival, 1}, {dhcpserver.Notice{Kind: dhcpserver.Alone}, 0},
	} {
		notice(step.n)
		if got, err := readBoard(dir); err != nil || len(got) != step.want {
			t.Errorf("after %s: %q, %v", step.n.Kind, got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, boardFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readBoard(dir); err == nil || !strings.HasPrefix(err.Error(), "notices of the private network: ") {
		t.Errorf("a damaged board: %v", err)
	}
}

// What happens again and again is told of once, and what a process that was
// killed has left is told of no more.
func TestBoardTellsOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		notice := newBoard(dir).of("segment0")
		declined := dhcpserver.Notice{Kind: dhcpserver.Declined, Name: "control-0", Address: netip.MustParseAddr("192.0.2.10")}
		notice(declined)
		first, err := readBoard(dir)
		if err != nil || len(first) != 1 {
			t.Fatalf("%q, %v", first, err)
		}
		<-time.After(10 * time.Second)
		notice(declined)
		if again, err := readBoard(dir); err != nil || !slices.Equal(again, first) {
			t.Errorf("after 10 s: %q, %v; want %q", again, err, first)
		}
		declined.Name = "control-1"
		notice(declined)
		if both, err := readBoard(dir); err != nil || len(both) != 2 {
			t.Errorf("of another machine: %q, %v", both, err)
		}
	})
	newBoard(dir)
	if left, err := readBoard(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// A guest that hangs is told of, with its name, within the minute that the
// supervisor's own times allow.
func TestNoticesOfMachines(t *testing.T) {
	needQEMU(t)
	p := opened(t, directoryOf(t))
	supervised(t, p, time.Second)
	m := made(t, p, 0, halts)
	powered(t, p, m)
	stop(t, guestOf(t, p, m))
	var got []string
	until(t, "it is told of", func() bool {
		var err error
		if got, err = p.Notices(within(t), mark); err != nil {
			t.Fatal(err)
		}
		return len(got) > 0
	})
	if got := clock.ReplaceAllString(strings.Join(got, "\n"), "at TIME"); got != "machine "+m.Name+": it hung at TIME and was power-cycled" {
		t.Errorf("notices %q", got)
	}
	defaults := newSupervisor(t.Context(), func() {}, SuperviseOptions{})
	if worst := 2 * (defaults.Every + defaults.Silence); worst > time.Minute {
		t.Errorf("it may take %s", worst)
	}
}
