package loadbalancer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asServers in the environment makes this test binary the routers at the
// addresses in it: files that are open are limited for each process, and a
// crowd needs many.
const asServers = "LOADBALANCER_TEST_AS_SERVERS"

// beServers says what it hears, and that it is healthy, until stdin ends.
func beServers(addresses string) error {
	for one := range strings.FieldsSeq(addresses) {
		router, err := net.Listen("tcp", one)
		if err != nil {
			return err
		}
		go acceptAll(router, echo)
		health, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddrPort(one).Addr(), 1936).String())
		if err != nil {
			return err
		}
		go http.Serve(health, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}
	fmt.Println("up")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func echo(c *net.TCPConn) {
	for b := make([]byte, 4); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// A crowd is connections that stay and talk, through one frontend.
type crowd struct {
	config Config
	from   uint16 // clients' network
	group  sync.WaitGroup

	joined, said, lost atomic.Int64
	cause              atomic.Pointer[error]
}

// newCrowd starts three routers, for which it has a frontend.
func newCrowd(t testing.TB) *crowd {
	t.Helper()
	n := uint16(rand.UintN(1 << 16))
	f := Frontend{Name: "ingress-https", Bind: netip.AddrPortFrom(loopback(n, 1), 443), Check: CheckRouter}
	var addresses []string
	for i := range 3 {
		m := Member{Name: fmt.Sprintf("worker-%d", i), Address: netip.AddrPortFrom(loopback(n, byte(11+i)), 443)}
		f.Members = append(f.Members, m)
		addresses = append(addresses, m.Address.String())
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asServers+"="+strings.Join(addresses, " "))
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "up\n" {
		t.Fatalf("the servers say %q, %v", line, err)
	}
	return &crowd{config: Config{Frontends: []Frontend{f}}, from: n}
}

// join adds n connections, which talk in turn until ctx ends, and once more
// then.
func (c *crowd) join(ctx context.Context, n int) {
	conns := make([]net.Conn, n)
	var group sync.WaitGroup
	for first := range 8 {
		group.Go(func() {
			for i := first; i < n; i += 8 {
				conns[i] = c.connect()
			}
		})
	}
	group.Wait()
	c.group.Go(func() {
		for ctx.Err() == nil {
			c.talk(conns)
		}
		c.talk(conns)
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	})
}

// connect opens a connection that works, from one of a hundred clients.
func (c *crowd) connect() net.Conn {
	client := loopback(c.from, byte(100+rand.UintN(100)))
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0))}
	conn, err := d.Dial("tcp", c.config.Frontends[0].Bind.String())
	if err == nil {
		err = c.exchange(conn)
	}
	if err != nil {
		c.fail(err)
		return nil
	}
	c.joined.Add(1)
	return conn
}

func (c *crowd) fail(err error) {
	c.lost.Add(1)
	c.cause.CompareAndSwap(nil, &err)
}

func (c *crowd) exchange(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, werr := io.WriteString(conn, "ping")
	_, rerr := io.ReadFull(conn, make([]byte, 4))
	c.said.Add(1)
	return errors.Join(werr, rerr)
}

// talk has every connection that is there say something.
func (c *crowd) talk(conns []net.Conn) {
	for i, conn := range conns {
		if conn == nil {
			continue
		}
		if err := c.exchange(conn); err != nil {
			c.fail(err)
			conn.Close()
			conns[i] = nil
		}
	}
}

// pass has somebody come and go until ctx ends.
func (c *crowd) pass(ctx context.Context) {
	c.group.Go(func() {
		for ctx.Err() == nil {
			if conn := c.connect(); conn != nil {
				conn.Close()
				c.joined.Add(-1)
			}
		}
	})
}

// heard waits until so many more things were said.
func (c *crowd) heard(t testing.TB, n int64) {
	t.Helper()
	before := c.said.Load()
	eventually(t, 10*time.Second, func() error {
		if now := c.said.Load(); now < before+n {
			return fmt.Errorf("%d things said since", now-before)
		}
		return nil
	})
}

// Neither who is connected nor who comes notices that the configuration is
// another.
func TestReloadsLoseNothing(t *testing.T) {
	for name, start := range balancers(t) {
		t.Run(name, func(t *testing.T) { reloads(t, start, 10, 500) })
	}
}

// BenchmarkReloads is the same at full length: 20 reloads under 10,000
// connections, of which none may fail. Where files are limited to fewer, it is
// as many as fit, and of haproxy's the rest with the second worker.
func BenchmarkReloads(b *testing.B) {
	for name, start := range balancers(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				reloads(b, start, 20, 10000)
			}
		})
	}
}

// reloads makes n reloads under so many connections that stay, or what fits,
// and others that come and go.
func reloads(t testing.TB, start func(testing.TB, Config) Balancer, n, stay int) {
	t.Helper()
	c := newCrowd(t)
	b := start(t, c.config)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, rest := capacity(t, b, stay)
	c.join(ctx, first)
	c.pass(ctx)
	for i := range n {
		if i == 1 && rest > 0 {
			c.join(ctx, rest)
		}
		change(t, b, c.config, 8-i%2)
		c.heard(t, 100)
	}
	most := c.joined.Load()
	cancel()
	c.group.Wait()
	if c.lost.Load() > 0 {
		t.Errorf("%d of %d connections lost in %d reloads: %v", c.lost.Load(), most, n, *c.cause.Load())
	}
	t.Logf("%d reloads under %d connections, which said %d things", n, most, c.said.Load())
}

// capacity splits n connections into those that b can hold now and those for
// its next worker, and leaves room for some who come and go.
func capacity(t testing.TB, b Balancer, n int) (first, rest int) {
	t.Helper()
	fits, err := MaxConn()
	if b.Name() == "embedded" {
		fits, err = embeddedMaxConn()
		n = min(n, fits-leastUse)
	}
	if err != nil {
		t.Fatal(err)
	}
	first = min(n, fits-leastUse)
	return first, n - first
}

// change allows other clients, which haproxy has to reload for.
func change(t testing.TB, b Balancer, c Config, bits int) {
	t.Helper()
	c.Frontends = []Frontend{c.Frontends[0]}
	c.Frontends[0].Allow = []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("127.0.0.0"), bits)}
	p, isProxy := b.(*Proxy)
	worker := 0
	if isProxy {
		worker = workerOf(t, p)
	}
	if err := b.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if isProxy && workerOf(t, p) == worker {
		t.Fatal("not reloaded")
	}
}
