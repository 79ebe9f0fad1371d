package node

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A wire takes what is sent to anybody to one server.
type wire struct {
	net.PacketConn
	server net.Addr
}

func (w wire) WriteTo(packet []byte, _ net.Addr) (int, error) {
	return w.PacketConn.WriteTo(packet, w.server)
}

// dhcpWire is a client on a wire, and a server there that gives each message
// the answers that reply makes.
func dhcpWire(t *testing.T, reply func(asked *dhcpv4.DHCPv4) []*dhcpv4.DHCPv4) dhcpClient {
	t.Helper()
	server, client := packets(t), packets(t)
	done := make(chan struct{})
	t.Cleanup(func() { client.Close(); server.Close(); <-done })
	go func() {
		defer close(done)
		packet := make([]byte, maxDHCP)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			asked, err := dhcpv4.FromBytes(packet[:n])
			if err != nil {
				t.Errorf("the client sent what is no DHCP message: %v", err)
				return
			}
			for _, m := range reply(asked) {
				server.WriteTo(m.ToBytes(), from)
			}
		}
	}()
	return dhcpClient{wire{client, server.LocalAddr()}, 20 * time.Millisecond}
}

func packets(t *testing.T) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func message(t *testing.T, asked *dhcpv4.DHCPv4, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.NewReplyFromRequest(asked, append(more, dhcpv4.WithMessageType(kind))...)
	if err != nil {
		t.Error(err)
	}
	return m
}

func TestDHCPClient(t *testing.T) {
	stranger := dhcpv4.WithTransactionID(dhcpv4.TransactionID{9, 9, 9, 9})
	addr := dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 100))
	tests := []struct {
		name  string
		reply func(t *testing.T, asked *dhcpv4.DHCPv4, nth int) []*dhcpv4.DHCPv4
		want  string // error, "" for an offer
	}{
		{"an offer", func(t *testing.T, asked *dhcpv4.DHCPv4, _ int) []*dhcpv4.DHCPv4 {
			return []*dhcpv4.DHCPv4{message(t, asked, dhcpv4.MessageTypeOffer, addr)}
		}, ""},
		{"the first question is lost", func(t *testing.T, asked *dhcpv4.DHCPv4, nth int) []*dhcpv4.DHCPv4 {
			if nth == 0 {
				return nil
			}
			return []*dhcpv4.DHCPv4{message(t, asked, dhcpv4.MessageTypeOffer, addr)}
		}, ""},
		{"somebody else's offer first", func(t *testing.T, asked *dhcpv4.DHCPv4, _ int) []*dhcpv4.DHCPv4 {
			return []*dhcpv4.DHCPv4{message(t, asked, dhcpv4.MessageTypeOffer, stranger), asked, message(t, asked, dhcpv4.MessageTypeOffer, addr)}
		}, ""},
		{"a refusal", func(t *testing.T, asked *dhcpv4.DHCPv4, _ int) []*dhcpv4.DHCPv4 {
			return []*dhcpv4.DHCPv4{message(t, asked, dhcpv4.MessageTypeNak, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 1))))}
		}, "DHCP server 192.0.2.1 refuses"},
		{"silence", func(*testing.T, *dhcpv4.DHCPv4, int) []*dhcpv4.DHCPv4 { return nil }, "no DHCP server answers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nth := 0
			c := dhcpWire(t, func(asked *dhcpv4.DHCPv4) []*dhcpv4.DHCPv4 {
				defer func() { nth++ }()
				return tt.reply(t, asked, nth)
			})
			discover, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, 1})
			if err != nil {
				t.Fatal(err)
			}
			offer, err := c.exchange(discover, dhcpv4.MessageTypeOffer)
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %s", err, tt.want)
			case tt.want == "" && (err != nil || !offer.YourIPAddr.Equal(net.IPv4(192, 0, 2, 100))):
				t.Errorf("got %v, %v", offer, err)
			}
		})
	}
}

func TestLeaseBecomesConfiguration(t *testing.T) {
	router := netip.MustParseAddr("192.0.2.1")
	lease := func(t *testing.T, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		ack, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 100)), dhcpv4.WithRouter(router.AsSlice())}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		return ack
	}
	mask := dhcpv4.WithNetmask(net.CIDRMask(24, 32))
	tests := []struct {
		name    string
		before  netInterface
		gateway netip.Addr
	}{
		{"all of it", netInterface{dhcp: &dhcpConfig{dns: true, gateway: true}}, router},
		{"auto-gateway: false", netInterface{dhcp: &dhcpConfig{}}, netip.Addr{}},
		{"a route of nmstate wins", netInterface{dhcp: &dhcpConfig{gateway: true}, gateway: netip.MustParseAddr("192.0.2.254")}, netip.MustParseAddr("192.0.2.254")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := port{netInterface: tt.before}
			if err := p.take(lease(t, mask)); err != nil {
				t.Fatal(err)
			}
			got := []any{p.addrs, p.gateway}
			want := []any{[]netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}, tt.gateway}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	p := port{netInterface: netInterface{dhcp: &dhcpConfig{}}}
	if err := p.take(lease(t)); err == nil || !strings.Contains(err.Error(), "not an address of a network") {
		t.Errorf("a lease without netmask: %v", err)
	}
}

func TestAutoDNS(t *testing.T) {
	const doc = "interfaces: [{name: nic0, type: ethernet, ipv4: {enabled: true, dhcp: true%s}}]"
	for _, tt := range []struct {
		name, more string
		want       dhcpConfig
	}{
		{"not said", "", dhcpConfig{dns: true, gateway: true}},
		{"auto-dns: false", ", auto-dns: false", dhcpConfig{gateway: true}},
		{"auto-gateway: false", ", auto-gateway: false", dhcpConfig{dns: true}},
		{"auto-routes: false", ", auto-routes: false", dhcpConfig{dns: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseNMState(strings.Replace(doc, "%s", tt.more, 1))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.interfaces["nic0"].dhcp; got == nil || *got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRoutersRunOnTwoNodes(t *testing.T) {
	hosts := func(masters, workers int) []Member {
		var list []Member
		for i := range masters + workers {
			m := Member{HostID: string(rune('a' + i)), Role: "worker"}
			if i < masters {
				m.Role = "master"
			}
			list = append(list, m)
		}
		return list
	}
	tests := []struct {
		name             string
		masters, workers int
		want             string // ids of the hosts that have a router
	}{
		{"3+10", 3, 10, "de"},
		{"compact", 3, 0, "ab"},
		{"one worker is too few to work alone", 3, 1, "ab"},
		{"single node", 1, 0, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testCluster(t)
			c.bundle.Hosts = hosts(tt.masters, tt.workers)
			got := ""
			for _, m := range c.bundle.Hosts {
				if c.works(m) && c.scheduleRouter(m.HostID) {
					got += m.HostID
				}
			}
			if got != tt.want {
				t.Errorf("routers on %s, want %s", got, tt.want)
			}
			c.removeRouter(got[:1])
			if !c.scheduleRouter("z") {
				t.Error("a router that is gone is not replaced")
			}
		})
	}
}
