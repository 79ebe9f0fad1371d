package loadbalancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Verdict is what a load balancer at a frontend's address does, seen from
// here, beside what it must do.
type Verdict struct {
	Frontend string         `json:"frontend"`
	Address  netip.AddrPort `json:"address"`
	OK       bool           `json:"ok"`
	Want     string         `json:"want"`
	Got      string         `json:"got"`
	Needs    string         `json:"needs"` // what it must be configured to
}

// What Verify and Deaf give a stranger.
const (
	connectTime = 3 * time.Second
	answerTime  = 3 * time.Second
)

// Verify asks, side by side, at the address of each frontend of c, whoever
// serves there, and says what that is to have. It takes 6 s at most.
func Verify(ctx context.Context, c Config) []Verdict {
	verdicts := make([]Verdict, len(c.Frontends))
	var group sync.WaitGroup
	for i, f := range c.Frontends {
		group.Go(func() { verdicts[i] = f.verify(ctx) })
	}
	group.Wait()
	return verdicts
}

// Deaf lists, side by side, the addresses of c's frontends where nobody accepts
// a connection from here within 3 s.
func Deaf(ctx context.Context, c Config) []netip.AddrPort {
	deaf := make([]netip.AddrPort, len(c.Frontends))
	var group sync.WaitGroup
	for i, f := range c.Frontends {
		group.Go(func() {
			conn, _ := open(ctx, f.Bind)
			if conn == nil {
				deaf[i] = f.Bind
				return
			}
			_ = conn.Close()
		})
	}
	group.Wait()
	return slices.DeleteFunc(deaf, func(a netip.AddrPort) bool { return !a.IsValid() })
}

func (f Frontend) verify(ctx context.Context) Verdict {
	v := Verdict{Frontend: f.Name, Address: f.Bind, Needs: f.needs()}
	switch {
	case f.Check == CheckRouter && f.Bind.Port() == 80:
		v.Want = "an answer over HTTP"
		v.OK, v.Got = answers(ctx, f.Bind)
	case f.Check == CheckRouter:
		v.Want = "a certificate over TLS"
		v.OK, v.Got = certified(ctx, f.Bind)
	case f.allows(sourceFor(f.Bind)):
		v.Want = "L7OK 200"
		v.OK, v.Got = newHealth(target{f.Check, f.Bind}, true, func(bool) {}).ask(ctx)
	default:
		v.Want = "refused: this host is not in the machine network"
		v.OK, v.Got = refused(ctx, f.Bind)
	}
	return v
}

// sourceFor is the address that this host speaks to another from. No packet
// is sent.
func sourceFor(a netip.AddrPort) netip.Addr {
	conn, err := net.Dial("udp", a.String())
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

func answers(ctx context.Context, a netip.AddrPort) (bool, string) {
	conn, said := open(ctx, a)
	if conn == nil {
		return false, said
	}
	defer conn.Close()
	status, err := get(conn, "/")
	if err != nil {
		return false, layer("L7", err)
	}
	return true, fmt.Sprintf("HTTP %d", status)
}

func certified(ctx context.Context, a netip.AddrPort) (bool, string) {
	conn, said := open(ctx, a)
	if conn == nil {
		return false, said
	}
	defer conn.Close()
	// Whose certificate it is tells the user; what it protects is not read.
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: "ingress"})
	if err := secured.HandshakeContext(ctx); err != nil {
		return false, layer("L6", err)
	}
	return true, "certificate of " + strings.Map(printable, secured.ConnectionState().PeerCertificates[0].Subject.CommonName)
}

// refused reports whether a client gets no answer: no connection, or one that
// is reset or closed before it could say anything.
func refused(ctx context.Context, a netip.AddrPort) (bool, string) {
	conn, said := open(ctx, a)
	if conn == nil {
		return true, said
	}
	defer conn.Close()
	status, err := get(tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), checks[CheckMachine].Path)
	switch {
	case err == nil:
		return false, fmt.Sprintf("L7 %d: it would hand out the pull secret", status)
	case errors.Is(err, syscall.ECONNRESET):
		return true, "reset"
	}
	return true, layer("L6", err)
}

// open connects within 3 s, for a client that has 3 s more.
func open(ctx context.Context, a netip.AddrPort) (net.Conn, string) {
	conn, err := (&net.Dialer{Timeout: connectTime}).DialContext(ctx, "tcp", a.String())
	if err != nil {
		return nil, layer("L4", err)
	}
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	return conn, ""
}

// needs says what a load balancer of somebody's own must do for f.
func (f Frontend) needs() string {
	k := checks[f.Check]
	spread := "any of"
	if k.bySource {
		spread = "one (by client address) of"
	}
	scheme, port := "http", ""
	if k.TLS {
		scheme = "https"
	}
	if k.Port != 0 {
		port = fmt.Sprintf(":%d", k.Port)
	}
	text := fmt.Sprintf("TCP to %s %s that answers %s GET %s%s with %d", spread, strings.Join(f.addresses(), ", "), scheme, port, k.Path, http.StatusOK)
	if len(f.Allow) > 0 {
		text += fmt.Sprintf("; for clients of %s alone", joined(f.Allow))
	}
	return text
}

func (f Frontend) addresses() (all []string) {
	for _, m := range f.Members {
		all = append(all, m.Address.String())
	}
	return all
}

func joined[T fmt.Stringer](values []T) string {
	var all []string
	for _, v := range values {
		all = append(all, v.String())
	}
	return strings.Join(slices.Compact(all), ", ")
}
