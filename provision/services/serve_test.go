package services

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/loadbalancer"
)

const owner = "mycluster.lab.test"

// TestMain is `slipway serve` when it is started with its arguments.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(serveVerb(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

func serveVerb(args []string) int {
	var o ServeOptions
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	flags.StringVar(&o.Document, "document", "", "")
	flags.StringVar(&o.RunDir, "run-dir", "", "")
	flags.StringVar(&o.Owner, "owner", "", "")
	flags.Parse(args)
	o.Log = os.Stderr
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Serve(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "slipway: error:", err)
		return 1
	}
	return 0
}

func needHAProxy(t *testing.T) {
	t.Helper()
	if _, err := loadbalancer.Find(t.Context()); err != nil {
		testbed.Missing(t, "%v; %s", err, hint.Of(err))
	}
}

// newOwner is a cluster name of this test alone, for processes are found by it.
func newOwner() string { return fmt.Sprintf("c%08x.lab.test", rand.Uint32()) }

// local is the document of a cluster of one node on loopback addresses that
// hardly anybody else uses at the same time. DNS is on port 5353.
func local(full string) Document {
	n := uint16(rand.UintN(1 << 16))
	name, domain, _ := strings.Cut(full, ".")
	at := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{127, byte(64 + n>>8%128), byte(n), last}) }
	d := Build(View{
		Name: name, Domain: domain, Services: at(1), Network: netip.PrefixFrom(at(0), 24), Serial: 1,
		Nodes: []Node{{"control-0", "control-0." + full, true, at(11)}},
	})
	d.DNS.Listen[0] = netip.AddrPortFrom(at(1), 5353)
	return d
}

// next is d with one more node, as up writes it.
func next(d Document) Document {
	d.Serial++
	name := fmt.Sprintf("more-%d", d.Serial)
	zones := append(d.DNS.Zones[:0:0], d.DNS.Zones...)
	for i := range zones {
		zones[i].Serial++
	}
	zones[0].Records = append(zones[0].Records[:len(zones[0].Records):len(zones[0].Records)], address(name+"."+zones[0].Name, d.DNS.Listen[0].Addr()))
	d.DNS.Zones = zones
	frontends := append(d.Balancer.Frontends[:0:0], d.Balancer.Frontends...)
	m := frontends[0].Members
	frontends[0].Members = append(m[:len(m):len(m)], loadbalancer.Member{Name: name, Address: m[0].Address})
	d.Balancer.Frontends = frontends
	return d
}

func put(t *testing.T, path string, d Document) {
	t.Helper()
	if err := Write(path, d); err != nil {
		t.Fatal(err)
	}
}

// lookup returns the rcode and the answers for an A query.
func lookup(t *testing.T, d Document, name string) string {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	in, _, err := new(dns.Client).ExchangeContext(t.Context(), m, d.DNS.Listen[0].String())
	if err != nil {
		t.Fatal(err)
	}
	out := dns.RcodeToString[in.Rcode]
	for _, rr := range in.Answer {
		out += " " + strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	return out
}

func within(t *testing.T, d time.Duration, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

// A running is a Serve in this process.
type running struct {
	ServeOptions
	done chan error
	stop context.CancelFunc
}

func startServe(t *testing.T, d Document) running {
	t.Helper()
	needHAProxy(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	r := running{ServeOptions{
		Document: filepath.Join(dir, "services.json"), RunDir: filepath.Join(dir, "run"), Owner: d.Owner,
		Ready: func() { close(ready) }, Log: io.Discard,
	}, make(chan error, 1), cancel}
	put(t, r.Document, d)
	go func() { r.done <- Serve(ctx, r.ServeOptions) }()
	select {
	case <-ready:
	case err := <-r.done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestServeFollowsTheDocument(t *testing.T) {
	d := local(newOwner())
	r := startServe(t, d)
	zone := d.DNS.Zones[0].Name
	services := d.DNS.Listen[0].Addr().String()
	if got, want := lookup(t, d, "api-int."+zone), "NOERROR "+services; got != want {
		t.Errorf("api-int: got %s, want %s", got, want)
	}
	if got := lookup(t, d, "more-2."+zone); got != "NXDOMAIN" {
		t.Errorf("more, too early: got %s", got)
	}
	d = next(d)
	put(t, r.Document, d)
	if err := WaitServed(t.Context(), r.RunDir, d.Serial); err != nil {
		t.Fatal(err)
	}
	if got, want := lookup(t, d, "more-2."+zone), "NOERROR "+services; got != want {
		t.Errorf("more: got %s, want %s", got, want)
	}
	st, err := Ask(t.Context(), r.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	if st.PID != os.Getpid() || st.Owner != d.Owner || st.Serial != 2 || len(st.Balancer.Servers) != 5 || st.Error != "" {
		t.Errorf("status %+v", st)
	}
	if st.DNS.Stats.UDP != 3 || len(st.DNS.Queries) != 3 || st.DNS.Queries[1].Rcode != "NXDOMAIN" || st.DNS.Listen[0] != d.DNS.Listen[0] {
		t.Errorf("status of DNS %+v", st.DNS)
	}
}

func TestServeKeepsWhatWorks(t *testing.T) {
	d := local(newOwner())
	r := startServe(t, d)
	good := next(d)
	busy, err := net.Listen("tcp", netip.AddrPortFrom(d.DNS.Listen[0].Addr(), 9999).String())
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	tests := []struct {
		name string
		put  func()
		want string
	}{
		{"not JSON", func() { os.WriteFile(r.Document, []byte("{"), 0o600) }, "unexpected end of JSON input"},
		{"of another cluster", func() {
			foreign := good
			foreign.Owner = owner
			put(t, r.Document, foreign)
		}, "is of " + owner + ", not of " + d.Owner},
		{"DNS serial runs backwards", func() {
			bad := good
			bad.DNS = next(good).DNS
			for i := range bad.DNS.Zones {
				bad.DNS.Zones[i].Serial = 0
			}
			put(t, r.Document, bad)
		}, "serial"},
		{"port is busy", func() {
			bad := good
			bad.Balancer = next(good).Balancer
			bad.Balancer.Frontends[0].Bind = netip.MustParseAddrPort(busy.Addr().String())
			put(t, r.Document, bad)
		}, "reload failed"},
		{"vanished", func() { os.Remove(r.Document) }, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.put()
			var st Status
			within(t, 10*time.Second, func() (err error) {
				if st, err = Ask(t.Context(), r.RunDir); err == nil && !strings.Contains(st.Error, tt.want) {
					err = fmt.Errorf("status says %q, want %q", st.Error, tt.want)
				}
				return err
			})
			if st.Serial != d.Serial || len(st.Balancer.Servers) != 4 || lookup(t, d, "api."+d.DNS.Zones[0].Name)[:7] != "NOERROR" {
				t.Errorf("the old document is not served any more: %+v", st)
			}
		})
	}
	put(t, r.Document, good)
	if err := WaitServed(t.Context(), r.RunDir, good.Serial); err != nil {
		t.Error(err)
	}
}

func TestWaitServedEndsWhenKeptOut(t *testing.T) {
	d := local(newOwner())
	r := startServe(t, d)
	bad := next(d)
	bad.DNS.Zones[0].Serial = 0
	put(t, r.Document, bad)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := WaitServed(ctx, r.RunDir, bad.Serial); err == nil || !strings.HasPrefix(err.Error(), "services document 2 is kept out: ") {
		t.Errorf("got %v", err)
	}
}

// control is a client of the control socket.
func control(runDir string) http.Client {
	return http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socketPath(runDir))
		},
	}}
}

func TestMetricsAreOpenMetrics(t *testing.T) {
	r := startServe(t, local(newOwner()))
	client := control(r.RunDir)
	resp, err := client.Get("http://serve/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`slipway_dns_queries_total{proto="udp"} 0`, `slipway_lb_server_up{frontend="api",server="control-0"} `,
		`slipway_lb_server_since_seconds{frontend="api",server="control-0"} 1`, // of this century
		`slipway_lb_frontend_refused_total{frontend="machine-config"} `} {
		if !strings.Contains(string(text), "\n"+want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if n := strings.Count(string(text), "# EOF"); n != 1 {
		t.Errorf("it ends %d times", n)
	}
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text") || !strings.HasSuffix(string(text), "# EOF\n") {
		t.Errorf("type %q, text %s", kind, text)
	}
}

// What is sent is served when the answer comes, and followed from then on.
func TestApplyServesADocument(t *testing.T) {
	d := local(newOwner())
	r := startServe(t, d)
	d = next(d)
	if err := Apply(t.Context(), r.RunDir, d); err != nil {
		t.Fatal(err)
	}
	if got := lookup(t, d, "more-2."+d.DNS.Zones[0].Name); !strings.HasPrefix(got, "NOERROR") {
		t.Errorf("got %s", got)
	}
	if kept, err := Read(r.Document); err != nil || kept.Serial != d.Serial {
		t.Errorf("the file has serial %d, %v", kept.Serial, err)
	}
	bad, foreign := next(d), next(d)
	bad.DNS.Zones[0].Serial = 0
	foreign.Owner = owner
	for want, d := range map[string]Document{"serial": bad, "is of " + owner: foreign} {
		if err := Apply(t.Context(), r.RunDir, d); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "slipway serve keeps the document out: ") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if kept, err := Read(r.Document); err != nil || kept.Serial != d.Serial {
		t.Errorf("the file has serial %d, %v", kept.Serial, err)
	}
	if st, err := Ask(t.Context(), r.RunDir); err != nil || st.Serial != d.Serial || st.Error != "" {
		t.Errorf("%+v, %v", st, err)
	}
}

// accepts waits for a connection at an address: one that came while the
// listener changed may have been cut.
func accepts(t *testing.T, at netip.AddrPort) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.String())
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A document may ask for another balancer at any time.
func TestServeChangesTheBalancer(t *testing.T) {
	d := local(newOwner())
	d.Balancer.Mode = loadbalancer.ModeEmbedded
	r := startServe(t, d)
	for _, mode := range []loadbalancer.Mode{loadbalancer.ModeEmbedded, loadbalancer.ModeHAProxy, loadbalancer.ModeEmbedded} {
		d = next(d)
		d.Balancer.Mode = mode
		if err := Apply(t.Context(), r.RunDir, d); err != nil {
			t.Fatal(err)
		}
		st, err := Ask(t.Context(), r.RunDir)
		if err != nil || !strings.HasPrefix(st.Balancer.Name, string(mode)) || len(st.Balancer.Frontends) != 4 {
			t.Errorf("%+v, %v; want %s", st.Balancer, err, mode)
		}
		accepts(t, d.Balancer.Frontends[0].Bind)
	}
	if found, err := loadbalancer.Running(d.Owner); err != nil || len(found) > 0 {
		t.Errorf("haproxy is left: %v, %v", found, err)
	}
}

func TestHealthIsTold(t *testing.T) {
	var out strings.Builder
	s := &server{o: ServeOptions{Log: &out}}
	seen := map[string]loadbalancer.Server{}
	at := time.Unix(1000, 0)
	m := loadbalancer.Server{Frontend: "api", Name: "control-0", Up: true, Since: at, Check: "L7OK 200"}
	s.tellHealth(seen, []loadbalancer.Server{m})
	m.Up, m.Since, m.Check = false, at.Add(time.Minute), "L7STS 500"
	s.tellHealth(seen, []loadbalancer.Server{m})
	s.tellHealth(seen, []loadbalancer.Server{m, {Frontend: "api", Name: "control-1", Check: "L4TOUT"}})
	_, lines, _ := strings.Cut(out.String(), " ")
	want := "api/control-0 is down, after 1m0s up: L7STS 500"
	if !strings.HasPrefix(lines, want+"\n") || strings.Count(out.String(), "\n") != 2 || !strings.HasSuffix(out.String(), "api/control-1 is down: L4TOUT\n") {
		t.Errorf("got %q, want %s", out.String(), want)
	}
}

func TestServeStopsWhenAsked(t *testing.T) {
	d := local(newOwner())
	r := startServe(t, d)
	client := control(r.RunDir)
	resp, err := client.Post("http://serve/stop", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	err = <-r.done
	r.done <- nil // for the cleanup
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
	left, _ := filepath.Glob(filepath.Join(r.RunDir, "*.sock"))
	if len(left) > 0 {
		t.Errorf("sockets left: %v", left)
	}
	if found, err := Find(d.Owner); err != nil || len(found) > 0 {
		t.Errorf("processes left: %+v, %v", found, err)
	}
}

func TestSecondServeIsRefused(t *testing.T) {
	r := startServe(t, local(newOwner()))
	if err := Serve(t.Context(), r.ServeOptions); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("got %v", err)
	}
}
