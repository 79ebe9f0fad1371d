package dnsserver

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// More packets than a batch holds, from several clients, of both families.
func TestBatchesLoseAndMixNothing(t *testing.T) {
	s, _ := started(t, Options{}, Config{Zones: []Zone{lab(1)}, Listen: []netip.AddrPort{loopback, netip.MustParseAddrPort("[::1]:0")}})
	names := []string{"api.mycluster.lab.test.", "x.apps.mycluster.lab.test.", "out.mycluster.lab.test.", "nope.mycluster.lab.test."}
	for _, addr := range s.Addrs() {
		var clients [4]net.Conn
		for i := range clients {
			clients[i] = dialUDP(t, addr)
			for id := range uint16(50) {
				m := new(dns.Msg).SetQuestion(names[i], dns.TypeA)
				m.Id = id
				clients[i].Write(mustPack(t, m))
			}
		}
		for i, c := range clients {
			seen := map[uint16]bool{}
			for len(seen) < 50 {
				m := received1(t, c)
				if m.Question[0].Name != names[i] || seen[m.Id] {
					t.Fatalf("client %d received %v", i, m)
				}
				seen[m.Id] = true
			}
		}
	}
	for _, q := range s.Queries() {
		if !q.Client.Addr().IsLoopback() || q.Client.Port() == 0 {
			t.Errorf("logged %+v", q)
		}
	}
}

func received1(t *testing.T, c net.Conn) *dns.Msg {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPacketLongerThanAnyIsMalformed(t *testing.T) {
	_, addr := started(t, Options{}, Config{Zones: []Zone{lab(1)}})
	c := dialUDP(t, netip.MustParseAddrPort(addr))
	m := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA).SetEdns0(1232, false)
	padding := &dns.EDNS0_PADDING{Padding: make([]byte, maxPacket-mLen(t, m)-4)}
	m.IsEdns0().Option = []dns.EDNS0{padding}
	for _, want := range []int{dns.RcodeSuccess, dns.RcodeFormatError} {
		c.Write(mustPack(t, m))
		if r := received1(t, c); r.Rcode != want {
			t.Errorf("%d octets of padding: %s, want %s", len(padding.Padding), dns.RcodeToString[r.Rcode], dns.RcodeToString[want])
		}
		padding.Padding = append(padding.Padding, 0)
	}
}

func mLen(t *testing.T, m *dns.Msg) int { return len(mustPack(t, m)) }

// A reply that cannot be sent does not take those behind it along.
func TestUnsendableReplyIsSkipped(t *testing.T) {
	server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	c := dialUDP(t, server.LocalAddr().(*net.UDPAddr).AddrPort())
	c.Write([]byte("first"))
	c.Write([]byte("second"))
	b := newBatch(conn)
	if err := b.wait(); err != nil || b.n != 2 {
		t.Fatalf("received %d packets: %v", b.n, err)
	}
	b.slots[0].client.Port = 0 // nobody can be sent anything there
	s := New(Options{})
	defer s.Close()
	for i := range 2 {
		b.in[i].len = uint32(copy(b.slots[i].packet[:], mustPack(t, new(dns.Msg).SetQuestion("example.org.", dns.TypeA))))
		b.slots[i].packet[1] = byte(i)
		b.slots[i].packet[0] = 0
	}
	b.answer(newReader(&listener{}, s), time.Now())
	if m := received1(t, c); m.Id != 1 {
		t.Errorf("received %v", m)
	}
}
