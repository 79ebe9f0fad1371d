package dhcpserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/netlab/netlabtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// link is a segment with this process at 192.0.2.210 and one machine on it.
func link(t *testing.T, mac MAC) *netlab.Port {
	t.Helper()
	l, err := netlab.New()
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	must(t, l.AddSegment("lan", netip.MustParsePrefix("192.0.2.1/24")))
	must(t, l.Connect("lan", "br0", []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24")}, netip.Addr{}))
	machine, err := l.AddMachine("lan", mac[:])
	must(t, err)
	must(t, machine.Configure(nil, netip.Addr{}, 0))
	must(t, machine.Up())
	return machine
}

// lease is the machine's way to an address.
func lease(t *testing.T, machine *netlab.Port, mac MAC) (*nclient4.Lease, error) {
	t.Helper()
	conn, err := machine.Broadcast(nclient4.ClientPort)
	must(t, err)
	client, err := nclient4.NewWithConn(conn, net.HardwareAddr(mac[:]), nclient4.WithTimeout(time.Second), nclient4.WithRetry(2))
	must(t, err)
	defer client.Close()
	return client.Request(t.Context())
}

// serve runs a server until the test ends and returns its notices.
func serve(t *testing.T, c Config) <-chan Notice {
	t.Helper()
	notices := make(chan Notice, 16)
	s, err := Listen(t.Context(), c, func(n Notice) { notices <- n })
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-ended) })
	return notices
}

func TestMachineGetsItsAddress(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	machine := link(t, ours)
	notices := serve(t, config())
	got, err := lease(t, machine, ours)
	must(t, err)
	if at := got.ACK.YourIPAddr.String(); at != "192.0.2.201" {
		t.Errorf("it got %s", at)
	}
	want := Notice{Granted, "control-0", at("192.0.2.201")}
	if diff := cmp.Diff(want, <-notices, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
}

func TestStrangerGetsNone(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	machine := link(t, theirs)
	notices := serve(t, config())
	if got, err := lease(t, machine, theirs); !errors.Is(err, nclient4.ErrNoResponse) {
		t.Errorf("it got %v, %v", got, err)
	}
	if n := <-notices; n != (Notice{Kind: Stranger, Name: theirs.String()}) || len(notices) > 0 {
		t.Errorf("notice %+v, and %d more", n, len(notices))
	}
}

// They are told of once, and not when they have an address and ask for the rest,
// as hosts with a static one do.
func TestStrangersAreToldOfOnce(t *testing.T) {
	var told []Notice
	s := &Server{notice: func(n Notice) { told = append(told, n) }, strangers: map[MAC]bool{}}
	static := MAC{0x02, 0, 0, 0, 0, 10}
	probe, err := stranger()
	must(t, err)
	for _, m := range []*dhcpv4.DHCPv4{
		message(t, dhcpv4.MessageTypeInform, static), message(t, dhcpv4.MessageTypeRelease, static), probe,
		message(t, dhcpv4.MessageTypeDiscover, theirs), message(t, dhcpv4.MessageTypeRequest, theirs),
	} {
		s.handle(m.ToBytes())
	}
	if want := []Notice{{Kind: Stranger, Name: theirs.String()}}; !slices.Equal(told, want) {
		t.Errorf("told of %+v, want %+v", told, want)
	}
}

// Where somebody serves already nothing is begun, and they are named.
func TestRivalIsNamed(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	machine := link(t, theirs)
	rival, err := machine.Broadcast(nclient4.ServerPort)
	must(t, err)
	defer rival.Close()
	go homeRouter(rival)
	_, err = Listen(t.Context(), config(), nil)
	refusal, ok := errors.AsType[*ErrRival](err)
	if !ok || *refusal != (ErrRival{"br0", at("192.0.2.7")}) {
		t.Errorf("error %v", err)
	}
}

// A rival that appears while we serve silences us until it is gone; each is
// told once.
func TestRivalSilences(t *testing.T) {
	var told []Notice
	s := &Server{c: config(), notice: func(n Notice) { told = append(told, n) }}
	for _, rival := range []netip.Addr{{}, at("192.0.2.7"), at("192.0.2.7"), {}, {}} {
		s.heed(rival)
		if s.Rival() != rival {
			t.Errorf("rival %s, want %s", s.Rival(), rival)
		}
	}
	want := []Notice{{Kind: Rival, Address: at("192.0.2.7")}, {Kind: Alone}}
	if diff := cmp.Diff(want, told, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// So is one that appears later, within a minute, and we are silent as long as
// it answers.
func TestRivalThatAppearsIsNamed(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	machine := link(t, ours)
	notices := make(chan Notice, 16)
	s, err := Listen(t.Context(), config(), func(n Notice) { notices <- n })
	must(t, err)
	if s.every+probeTimes*probeFor > time.Minute {
		t.Errorf("it is looked for every %s only", s.every)
	}
	s.every = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	defer func() { cancel(); must(t, <-ended) }()
	rival, err := machine.Broadcast(nclient4.ServerPort)
	must(t, err)
	go homeRouter(rival)
	if n := <-notices; n != (Notice{Kind: Rival, Address: at("192.0.2.7")}) {
		t.Errorf("notice %+v", n)
	}
	must(t, rival.Close())
	if n := <-notices; n.Kind != Alone {
		t.Errorf("notice %+v", n)
	}
}

// homeRouter offers everybody an address until its socket is closed.
func homeRouter(conn net.PacketConn) {
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		m, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil || m.MessageType() != dhcpv4.MessageTypeDiscover {
			continue
		}
		offer, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer), dhcpv4.WithServerIP(net.IPv4(192, 0, 2, 7)),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 7))), dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 99)))
		if err == nil {
			_, _ = conn.WriteTo(offer.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort})
		}
	}
}
