package loadbalancer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/templates"
)

// A target is what one series of health checks is about. Frontends whose check
// has a port of its own share it: one probe a router.
type target struct {
	check   Check
	address netip.AddrPort
}

func targetOf(c Check, m Member) target {
	if port := checks[c].Port; port != 0 {
		return target{c, netip.AddrPortFrom(m.Address.Addr(), port)}
	}
	return target{c, m.Address}
}

// A health is what checks, and connections of clients, say of a target.
type health struct {
	target
	plan   templates.HAProxyCheck
	fell   func(alive bool) // called when it goes down: alive if it answered; not under mu
	sooner chan struct{}    // asks for a check at once

	mu     sync.Mutex
	up     bool
	streak int // verdicts in a row against up
	failed int // connections of clients in a row
	since  time.Time
	said   string // L7OK 200, L4CON connection refused ..., as haproxy has them
}

func newHealth(t target, up bool, fell func(alive bool)) *health {
	return &health{target: t, plan: checks[t.check].HAProxyCheck, fell: fell, up: up, since: time.Now(), sooner: make(chan struct{}, 1)}
}

// run checks until ctx ends.
func (h *health) run(ctx context.Context) {
	for ctx.Err() == nil {
		ok, said := h.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		h.note(ok, said)
		select {
		case <-ctx.Done():
		case <-time.After(h.interval()):
		case <-h.sooner:
		}
	}
}

// interval is haproxy's inter, fastinter in doubt, or downinter.
func (h *health) interval() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.streak > 0:
		return h.plan.Fast
	case h.up:
		return h.plan.Every
	}
	return h.plan.Down
}

// note counts a verdict.
func (h *health) note(ok bool, said string) {
	if h.counted(ok, said) {
		h.fell(strings.HasPrefix(said, "L7STS"))
	}
}

// counted reports whether the verdict made it fall.
func (h *health) counted(ok bool, said string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = said
	if ok == h.up {
		h.streak = 0
		return false
	}
	h.streak++
	need := h.plan.Fall
	if !h.up {
		need = h.plan.Rise
	}
	return h.streak >= need && h.turn()
}

// turn changes between up and down, and reports whether it is down now; h.mu
// is held.
func (h *health) turn() bool {
	h.up, h.streak, h.failed, h.since = !h.up, 0, 0, time.Now()
	return !h.up
}

// errorLimit is how many clients' connections in a row may fail.
const errorLimit = 3

// observe counts what a client's connection met. Clients notice a server that
// is gone before the next check does, or have only lost packets: too many errors
// in a row are one failed check, and the next one is made at once.
func (h *health) observe(err error) {
	if !h.overLimit(err) {
		return
	}
	h.note(false, "clients' connections: "+layer("L4", err))
	select {
	case h.sooner <- struct{}{}:
	default:
	}
}

// overLimit reports whether a connection is one error too many.
func (h *health) overLimit(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil || !h.up {
		h.failed = 0
		return false
	}
	h.failed = (h.failed + 1) % errorLimit
	return h.failed == 0
}

func (h *health) isUp() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up
}

// state is what haproxy calls its status.
func (h *health) state() (state string, up bool, since time.Time, said string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state = "DOWN"
	need := h.plan.Rise
	if h.up {
		state, need = "UP", h.plan.Fall
	}
	if h.streak > 0 {
		n := h.streak
		if h.up {
			n = need - n
		}
		state += fmt.Sprintf(" %d/%d", n, need)
	}
	return state, h.up, h.since.Truncate(time.Second), h.said
}

// ask makes one check, which has as long as the interval.
func (h *health) ask(ctx context.Context) (ok bool, said string) {
	ctx, cancel := context.WithTimeout(ctx, h.plan.Every)
	defer cancel()
	conn, err := h.dial(ctx)
	if err != nil {
		return false, err.Error()
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	status, err := get(conn, h.plan.Path)
	switch {
	case err != nil:
		return false, layer("L7", err)
	case status != http.StatusOK:
		return false, fmt.Sprintf("L7STS %d", status)
	}
	return true, "L7OK 200"
}

// dial connects, with TLS where the check has it. Nothing is verified: the
// check speaks to an address, before anybody holds the cluster's CA, and what
// it learns is one status code.
func (h *health) dial(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.address.String())
	if err != nil {
		return nil, errors.New(layer("L4", err))
	}
	if !h.plan.TLS {
		return conn, nil
	}
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, errors.New(layer("L6", err))
	}
	return secured, nil
}

func get(conn net.Conn, path string) (status int, err error) {
	request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 4096), nil)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

// layer words an error as haproxy's checks do: where it happened, and what.
func layer(where string, err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return where + "TOUT"
	}
	kind := map[string]string{"L4": "CON", "L6": "RSP", "L7": "RSP"}[where]
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return where + kind + " " + errno.Error()
	}
	return where + kind + " " + strings.Map(printable, err.Error())
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}
