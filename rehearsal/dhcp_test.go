package rehearsal

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestWidestPool(t *testing.T) {
	tests := []struct {
		name  string
		cidr  string
		taken []string
		want  pool
	}{
		{"all but network and broadcast", "192.0.2.0/29", nil, pool{addr("192.0.2.1"), 6}},
		{"behind the static ones", "192.0.2.0/28", []string{"192.0.2.1", "192.0.2.5", "192.0.2.4"}, pool{addr("192.0.2.6"), 9}},
		{"before the static ones", "192.0.2.0/28", []string{"192.0.2.12", "192.0.2.1"}, pool{addr("192.0.2.2"), 10}},
		{"foreign addresses do not matter", "192.0.2.0/29", []string{"198.51.100.2"}, pool{addr("192.0.2.1"), 6}},
		{"no more than a home router has", "198.18.0.0/15", nil, pool{addr("198.18.0.1"), maxPool}},
		{"nothing left", "192.0.2.0/30", []string{"192.0.2.1", "192.0.2.2"}, pool{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var taken []netip.Addr
			for _, a := range tt.taken {
				taken = append(taken, addr(a))
			}
			got := widestPool(prefix(tt.cidr), taken)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(pool{}), cmpopts.EquateComparable(netip.Addr{})); diff != "" && got.size+tt.want.size > 0 {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// homeRouter has three addresses to give.
func homeRouter() *dhcpServer {
	return newDHCPServer(network{gateway: addr("192.0.2.1"), cidr: prefix("192.0.2.0/24"), pool: pool{addr("192.0.2.100"), 3}})
}

func mac(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }

func discover(t testing.TB, from net.HardwareAddr) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.NewDiscovery(from)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// lease is DISCOVER to ACK; no address for a client that gets none.
func (s *dhcpServer) lease(t testing.TB, from net.HardwareAddr, now time.Time) netip.Addr {
	t.Helper()
	offer := s.answer(discover(t, from), now)
	if offer == nil {
		return netip.Addr{}
	}
	request, err := dhcpv4.NewRequestFromOffer(offer)
	if err != nil {
		t.Fatal(err)
	}
	ack := s.answer(request, now)
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck || !ack.YourIPAddr.Equal(offer.YourIPAddr) {
		t.Fatalf("offered %s, answered %v", offer.YourIPAddr, ack)
	}
	a, _ := netip.AddrFromSlice(ack.YourIPAddr.To4())
	return a
}

func TestRouterAnnouncesItself(t *testing.T) {
	offer := homeRouter().answer(discover(t, mac(1)), time.Now())
	if offer.MessageType() != dhcpv4.MessageTypeOffer || !offer.ServerIdentifier().Equal(net.IPv4(192, 0, 2, 1)) {
		t.Fatalf("got %s", offer.Summary())
	}
	if diff := cmp.Diff([]net.IP{net.IPv4(192, 0, 2, 1)}, offer.Router()); diff != "" {
		t.Errorf("router: -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]net.IP{net.IPv4(192, 0, 2, 1)}, offer.DNS()); diff != "" {
		t.Errorf("DNS: -want +got\n%s", diff)
	}
	if bits, _ := offer.SubnetMask().Size(); bits != 24 || offer.DomainName() != "home.arpa" || offer.IPAddressLeaseTime(0) != 24*time.Hour {
		t.Errorf("got %s", offer.Summary())
	}
}

func TestLeases(t *testing.T) {
	s, now := homeRouter(), time.Now()
	given := map[netip.Addr]bool{}
	for i := range byte(3) {
		given[s.lease(t, mac(i), now)] = true
	}
	if len(given) != 3 || !given[addr("192.0.2.100")] || !given[addr("192.0.2.102")] {
		t.Fatalf("three clients have %v", given)
	}
	first := s.lease(t, mac(0), now.Add(leaseTime/2))
	if a := s.lease(t, mac(9), now); a.IsValid() {
		t.Errorf("a fourth client got %s of three", a)
	}
	later := now.Add(leaseTime + time.Minute)
	if a := s.lease(t, mac(9), later); !given[a] || a == first {
		t.Errorf("once two leases are over the fourth client got %v", a)
	}
	if a := s.lease(t, mac(0), later.Add(leaseTime)); a != first {
		t.Errorf("a client that comes back got %s, and had %s", a, first)
	}
}

func TestOffersAreKept(t *testing.T) {
	s, now := homeRouter(), time.Now()
	offered := map[string]bool{}
	for i := range byte(3) {
		offered[s.answer(discover(t, mac(i)), now).YourIPAddr.String()] = true
	}
	if len(offered) != 3 {
		t.Errorf("offered to three clients at once: %v", offered)
	}
	if m := s.answer(discover(t, mac(9)), now); m != nil {
		t.Errorf("offered to the fourth: %s", m.YourIPAddr)
	}
	if a := s.lease(t, mac(9), now.Add(2*offerTime)); !a.IsValid() {
		t.Error("an offer that nobody took is kept for good")
	}
}

func TestDHCPServerRefuses(t *testing.T) {
	s, now := homeRouter(), time.Now()
	had := s.lease(t, mac(1), now)
	request := func(modify ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		m := discover(t, mac(1))
		for _, f := range append(modify, dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)) {
			f(m)
		}
		return m
	}
	want := func(a string) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(a)))
	}
	reply := discover(t, mac(1))
	reply.OpCode = dhcpv4.OpcodeBootReply
	for _, tt := range []struct {
		name  string
		asked *dhcpv4.DHCPv4
		want  dhcpv4.MessageType // none: silence
	}{
		{"its own address after a reboot", request(want(had.String())), dhcpv4.MessageTypeAck},
		{"its own address, renewed", request(dhcpv4.WithClientIP(had.AsSlice())), dhcpv4.MessageTypeAck},
		{"another address", request(want("192.0.2.99")), dhcpv4.MessageTypeNak},
		{"no address", request(), dhcpv4.MessageTypeNak},
		{"another server's offer", request(want(had.String()), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 2)))), dhcpv4.MessageTypeNone},
		{"a reply", reply, dhcpv4.MessageTypeNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := dhcpv4.MessageTypeNone
			if m := s.answer(tt.asked, now); m != nil {
				got = m.MessageType()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzDHCPServer(f *testing.F) {
	f.Add(discover(f, mac(1)).ToBytes())
	f.Fuzz(func(t *testing.T, packet []byte) {
		asked, err := dhcpv4.FromBytes(packet)
		if err != nil {
			return
		}
		s := homeRouter()
		m := s.answer(asked, time.Now())
		if m == nil || m.MessageType() == dhcpv4.MessageTypeNak {
			return
		}
		if a, ok := netip.AddrFromSlice(m.YourIPAddr.To4()); !ok || a.Compare(s.pool.first) < 0 || a.Compare(addr("192.0.2.102")) > 0 {
			t.Errorf("gave %s, which is not in its pool", m.YourIPAddr)
		}
	})
}
