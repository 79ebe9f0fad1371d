package dnsserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// An upstream is a resolver we ask, and what we know of it.
type upstream struct {
	addr   netip.AddrPort
	silent atomic.Int64 // when it last gave no answer, Unix nanoseconds; 0: it does answer
	folds  atomic.Bool  // it changes the letters of names: do not vary them
}

func (u *upstream) down(now time.Time) bool {
	at := u.silent.Load()
	return at != 0 && now.Sub(time.Unix(0, at)) < holdOff
}

// An attempt's errors. A folded name may be a forgery over UDP; over TCP it
// tells what kind of server this is.
var (
	errFolded  = errors.New("the letters of the name changed")
	errStrange = errors.New("not the answer to our question")
)

// attempt asks u once: over UDP, over TCP when the answer was cut or its name
// respelled, and without EDNS when u cannot read that (RFC 6891 7).
func (u *upstream) attempt(ctx context.Context, patience time.Duration, ask question, c *call, count *meter) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	count.forwarded.Add(1)
	m, err := u.exchange(ctx, u.compose(ask, c, true))
	if err == nil && noEDNS(m.Rcode) {
		count.forwarded.Add(1)
		m, err = u.exchange(ctx, u.compose(ask, c, false))
	}
	if err != nil {
		u.silent.Store(time.Now().UnixNano())
		return nil, err
	}
	u.silent.Store(0)
	return m, nil
}

func noEDNS(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}

// compose makes the query: an id and letters that cannot be guessed (RFC 5452).
func (u *upstream) compose(ask question, c *call, withEDNS bool) *dns.Msg {
	name := ask.key.text()
	if !u.folds.Load() {
		name = respell(name)
		c.spelling.Store(&name)
	}
	m := &dns.Msg{Question: []dns.Question{{Name: name, Qtype: ask.qtype, Qclass: dns.ClassINET}}}
	m.Id, m.RecursionDesired, m.CheckingDisabled = randomID(), true, ask.cd
	if withEDNS {
		m.SetEdns0(udpSize, ask.do)
	}
	return m
}

func randomID() uint16 {
	var b [2]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// respell varies the letters of a lower-case name at random ("0x20"), never
// leaving them all as they were: so our own query is known when it comes back.
func respell(name string) string {
	dice := make([]byte, len(name))
	rand.Read(dice)
	b := []byte(name)
	first := -1
	for i, c := range b {
		if c < 'a' || c > 'z' {
			continue
		}
		if first < 0 {
			first = i
		}
		b[i] = c - 32*(dice[i]&1)
	}
	if first >= 0 && string(b) == name {
		b[first] -= 32
	}
	return string(b)
}

func (u *upstream) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	r, err := u.over(ctx, "udp", m, receive)
	if errors.Is(err, errFolded) || err == nil && r.Truncated {
		r, err = u.over(ctx, "tcp", m, receiveTCP)
	}
	if errors.Is(err, errFolded) {
		u.folds.Store(true) // it is no forger: a connection cannot be guessed into
		return r, nil
	}
	return r, err
}

// over sends m on a connection of its own, which ends with ctx: a new port
// for each query, and packets from the upstream's address and port alone.
func (u *upstream) over(ctx context.Context, network string, m *dns.Msg, receive receiver) (*dns.Msg, error) {
	packed, err := m.Pack()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, u.addr.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(past) })()
	if network == "tcp" {
		packed = frame(packed)
	}
	if _, err := c.Write(packed); err != nil {
		return nil, err
	}
	return receive(ctx, c, m)
}

// A receiver waits for the answer to m.
type receiver func(ctx context.Context, c net.Conn, m *dns.Msg) (*dns.Msg, error)

// receive drops every packet that is not the answer to m, until ctx ends. When
// only the letters of the name were wrong it does not wait to the end, so that
// time remains to ask over TCP.
func receive(ctx context.Context, c net.Conn, m *dns.Msg) (*dns.Msg, error) {
	var folded error
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, cmp.Or(folded, err)
		}
		r, err := readReply(m, buf[:n])
		if err == nil {
			return r, nil
		}
		if errors.Is(err, errFolded) && folded == nil {
			folded = err
			c.SetReadDeadline(halfway(ctx))
		}
	}
}

func halfway(ctx context.Context) time.Time {
	end, ok := ctx.Deadline()
	if !ok {
		return time.Time{}
	}
	return time.Now().Add(time.Until(end) / 2)
}

func receiveTCP(_ context.Context, c net.Conn, m *dns.Msg) (*dns.Msg, error) {
	packet, err := readFrame(c)
	if err != nil {
		return nil, err
	}
	return readReply(m, packet)
}

// readReply checks that packet answers m. The question is put in lower case
// before the records are read: their names point into it, and our random
// letters must not show in them.
func readReply(m *dns.Msg, packet []byte) (*dns.Msg, error) {
	r := new(dns.Msg)
	if err := r.Unpack(packet); err != nil {
		return nil, errStrange
	}
	verdict := matches(m, r)
	if verdict != nil && verdict != errFolded || len(r.Question) == 0 {
		return r, verdict
	}
	if end, ok := plainName(packet, headerLen); ok {
		copy(packet[headerLen:], fold(packet[headerLen:end]))
	}
	r = new(dns.Msg)
	if err := r.Unpack(packet); err != nil {
		return nil, errStrange
	}
	return r, verdict
}

// matches checks that r answers m. An upstream that cannot read our query may
// leave the question out.
func matches(m, r *dns.Msg) error {
	if r.Id != m.Id || !r.Response || r.Opcode != dns.OpcodeQuery {
		return errStrange
	}
	if len(r.Question) == 0 && noEDNS(r.Rcode) {
		return nil
	}
	if len(r.Question) != 1 {
		return errStrange
	}
	asked, got := m.Question[0], r.Question[0]
	switch {
	case got.Qtype != asked.Qtype || got.Qclass != asked.Qclass || !strings.EqualFold(got.Name, asked.Name):
		return errStrange
	case got.Name != asked.Name:
		return errFolded
	}
	return nil
}
