package provision

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/spec"
)

// nameserver answers for one name, with 127.0.0.1, over UDP and TCP.
func nameserver(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		switch question := q.Question[0]; {
		case question.Name != name:
			reply.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(reply)
	})
	server := &dns.Server{PacketConn: packets, Handler: handler}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() { packets.Close(); <-done })
	return netip.MustParseAddrPort(packets.LocalAddr().String())
}

// console is a web server with a certificate for *.example.com.
func console(t *testing.T, handler http.HandlerFunc) (server *httptest.Server, roots *x509.CertPool) {
	server = httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	return server, roots
}

func TestRequestGoesThroughTheClustersNamesAndCertificates(t *testing.T) {
	server, roots := console(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/gone":
			http.Error(w, "x", http.StatusServiceUnavailable)
		}
	})
	port := server.Listener.Addr().(*net.TCPAddr).Port
	resolver := nameserver(t, "console.example.com.")
	url := func(host, path string) string { return fmt.Sprintf("https://%s:%d%s", host, port, path) }
	t.Setenv("HTTPS_PROXY", "http://192.0.2.1:1") // must not be used
	tests := []struct {
		name   string
		url    string
		roots  *x509.CertPool
		follow bool
		status int
		want   string // in the error
	}{
		{"a page", url("console.example.com", "/"), roots, true, 200, ""},
		{"a page that moved", url("console.example.com", "/moved"), roots, true, 200, ""},
		{"the redirect itself", url("console.example.com", "/moved"), roots, false, 302, ""},
		{"redirects without end", url("console.example.com", "/round"), roots, true, 0, "more redirects"},
		{"a server that is out of order", url("console.example.com", "/gone"), roots, true, 503, ""},
		{"a name that our DNS does not have", url("oauth.example.com", "/"), roots, true, 0, "lookup oauth.example.com"},
		{"a certificate of somebody else", url("console.example.com", "/"), x509.NewCertPool(), true, 0, "certificate signed by unknown authority"},
		{"nobody there", "https://console.example.com:1/", roots, true, 0, "connection refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, err := request{test.url, resolver, test.roots, test.follow}.status(t.Context())
			if status != test.status || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("status %d, error %v; want %d, %q", status, err, test.status, test.want)
			}
		})
	}
}

// checked runs the check steps of a spec with one check block.
func checked(t *testing.T, c spec.Check, resolver netip.AddrPort) error {
	home := t.TempDir()
	s := simulate(home, "c", 1, 1)
	s.cluster.Services.DNS.Server = resolver
	s.cluster.Checks = []spec.Check{c}
	s.Pace, s.Sink = pace.Pace(1000), event.Discard
	return s.graph(s.checks(nil)).Run(t.Context())
}

func TestCheckIsAskedUntilItHolds(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	resolver := nameserver(t, "app.example.com.")
	get := fmt.Sprintf("http://app.example.com:%d/", server.Listener.Addr().(*net.TCPAddr).Port)
	if err := checked(t, spec.Check{Label: "app", Get: get, Status: 200, Within: time.Minute}, resolver); err != nil || asked.Load() != 3 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
	at := hcl.Range{Filename: "cluster.hcl", Start: hcl.Pos{Line: 21}}
	err := checked(t, spec.Check{Label: "app", Get: get, Status: 418, Within: 200 * time.Millisecond, Range: at}, resolver)
	want := "check app: no time is left for this step after 0s: " + get + " answers 200, not 418"
	if err == nil || err.Error() != want || ExitCode(err) != ExitOperators {
		t.Errorf("error %v, exit code %d, want %s", err, ExitCode(err), want)
	}
	if advice := hint.Of(err); !strings.Contains(advice, "cluster.hcl:21") {
		t.Errorf("hint %q", advice)
	}
}

// An interrupt is an interrupt, whatever the check had met.
func TestCheckIsInterrupted(t *testing.T) {
	s := simulate(t.TempDir(), "c", 1, 1)
	s.cluster.Checks = []spec.Check{{Label: "app", Get: "http://127.0.0.1:1/", Status: 200, Within: time.Hour}}
	ctx, cancel := context.WithCancelCause(t.Context())
	s.Sink = event.Func(func(e event.Event) {
		if e.Kind == event.StepStart {
			cancel(ErrInterrupted)
		}
	})
	if err := s.graph(s.checks(nil)).Run(ctx); ExitCode(err) != ExitInterrupted {
		t.Errorf("error %v", err)
	}
}
