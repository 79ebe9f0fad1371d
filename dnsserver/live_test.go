package dnsserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/testbed"
)

// asker keeps up to 16 queries under way on one socket until done is closed,
// and reports the first that is not answered.
func asker(t *testing.T, addr string, done <-chan struct{}, answered *atomic.Int64) {
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	names := []string{"api.mycluster.lab.test.", "X.apps.mycluster.lab.test."}
	var packets [][]byte
	for id := range 16 {
		m := new(dns.Msg).SetQuestion(names[id%2], dns.TypeA)
		m.Id = uint16(id)
		packed, _ := m.Pack()
		packets = append(packets, packed)
	}
	buf := make([]byte, 512)
	for {
		select {
		case <-done:
			return
		default:
		}
		for _, p := range packets {
			c.Write(p)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		for range packets {
			n, err := c.Read(buf)
			if err != nil || n < headerLen || buf[3]&15 != 0 || buf[7] != 1 {
				t.Errorf("%x %v after %d answers", buf[:n], err, answered.Load())
				return
			}
			answered.Add(1)
		}
	}
}

func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	const reloads, between = 10, 500
	s, addr := started(t, Options{}, Config{Zones: []Zone{lab(1)}})
	done := make(chan struct{})
	var answered atomic.Int64
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() { asker(t, addr, done, &answered) })
	}
	for i := range reloads {
		serial := uint32(2 + i)
		node := rec(fmt.Sprintf("worker-%d.mycluster.lab.test.", i), "A", "192.0.2.204")
		if err := s.Set(Config{Listen: []netip.AddrPort{loopback}, Zones: []Zone{lab(serial, node)}}); err != nil {
			t.Fatal(err)
		}
		if r := ask(t, "udp", addr, node.Name, dns.TypeA); len(r.Answer) != 1 {
			t.Errorf("after Set returned: %v", r)
		}
		if r := ask(t, "udp", addr, "mycluster.lab.test.", dns.TypeSOA); r.Answer[0].(*dns.SOA).Serial != serial {
			t.Errorf("serial is not %d: %v", serial, r.Answer)
		}
		target := answered.Load() + between
		within(t, "the load goes on", func() bool { return answered.Load() >= target || t.Failed() })
	}
	close(done)
	asking.Wait()
}

// median asks n times and returns the middle of the times it took.
func median(t *testing.T, addr string, n int) time.Duration {
	t.Helper()
	c := dialUDP(t, netip.MustParseAddrPort(addr))
	packet, buf := mustPack(t, new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)), make([]byte, 512)
	var took []time.Duration
	for range n {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		start := time.Now()
		c.Write(packet)
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[n/2]
}

// Idle connections cost memory, not time. Other work on the machine may
// disturb a measurement, but not all of them.
func TestIdleConnectionsDoNotMoveUDPLatency(t *testing.T) {
	const idle = 2000
	s, addr := started(t, Options{Conns: 2 * idle, Idle: time.Minute}, Config{Zones: []Zone{lab(1)}})
	before := median(t, addr, 200)
	for i := range idle {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			testbed.Missing(t, "files for %d connections: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
	}
	held := func() int {
		s.conns.mu.Lock()
		defer s.conns.mu.Unlock()
		return len(s.conns.all)
	}
	within(t, "all connections are held", func() bool { return held() == idle })
	var after time.Duration
	within(t, fmt.Sprintf("latency as before, %s", before), func() bool {
		after = median(t, addr, 200)
		return after <= before+before/2+50*time.Microsecond
	})
	if held() != idle {
		t.Errorf("%d connections are left of %d", held(), idle)
	}
	t.Logf("median %s, with %d idle connections %s", before, idle, after)
}

// mutated are queries with octets changed, cut and repeated.
func mutated(r *rand.Rand, packet []byte) []byte {
	p := slices.Clone(packet)
	for range 1 + r.IntN(4) {
		switch at := r.IntN(len(p)); r.IntN(4) {
		case 0:
			p[at] = byte(r.Uint32())
		case 1:
			p[at] ^= 1 << r.IntN(8)
		case 2:
			p = p[:at+1]
		case 3:
			p = append(p, p[at:]...)
		}
	}
	return p[:min(len(p), maxPacket)]
}

// Nothing that comes in stays: not from packets, not from what is logged or
// counted of them, nor from answers to names nobody else will ask for.
func TestMemoryIsBoundedUnderReplay(t *testing.T) {
	s := serving(t, variety()...)
	if err := s.Set(Config{Zones: variety(), RateLimit: &RateLimit{PerSecond: 1000}}); err != nil {
		t.Fatal(err)
	}
	var seeds [][]byte
	for _, packet := range fastQueries(t) {
		seeds = append(seeds, packet)
	}
	r, reader := rand.New(rand.NewPCG(53, 53)), newReader(&listener{}, s)
	out := make([]byte, udpSize)
	replay := func() {
		for range 20000 {
			packet := mutated(r, seeds[r.IntN(len(seeds))])
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, byte(r.Uint32()), byte(r.Uint32()), 1}), 53)
			if r.IntN(2) == 0 {
				s.handle(packet, from, true)
				continue
			}
			reader.turn(packet, from, out, time.Now())
		}
	}
	replay()
	before := heap()
	replay()
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("%d octets more than before", grown)
	}
	if st := s.Stats(); st.Panics > 0 || len(st.Rcodes) > maxRcode {
		t.Errorf("%+v", st)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
