package update

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// patience is how long the server may take over one message.
const patience = 15 * time.Second

// fudge is how far clocks may differ, in seconds (RFC 8945 10).
const fudge = 300

// A session is a TCP connection to the server and the key to sign with.
type session struct {
	server netip.AddrPort
	key    Key
	secret map[string]string // by key name, as the library wants it
	conn   net.Conn
	// answered says that the server has answered on this connection.
	answered bool
}

func open(ctx context.Context, t Target) (*session, error) {
	if err := t.Key.check(); err != nil {
		return nil, err
	}
	secret, err := t.Key.reveal()
	if err != nil {
		return nil, err
	}
	s := &session{server: t.Server, key: t.Key, secret: map[string]string{t.Key.owner(): secret}}
	s.conn, err = s.dial(ctx)
	return s, err
}

func (s *session) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", s.server.String())
	if err != nil {
		return nil, fmt.Errorf("DNS server %s: %w", s.server, err)
	}
	return conn, nil
}

func (s *session) close() { s.conn.Close() }

// ask sends m signed and returns the verified answer. A server that has had
// enough of one connection (many count the messages) gets m on another: to
// send an update twice is safe, its prerequisites see to that.
func (s *session) ask(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	r, err := s.exchange(ctx, m)
	if r == nil && s.answered && ctx.Err() == nil {
		if err := s.redial(ctx); err != nil {
			return nil, err
		}
		r, err = s.exchange(ctx, m)
	}
	if r == nil {
		return nil, s.failed(ctx, err)
	}
	s.answered = true
	return r, s.verify(m, r, err)
}

func (s *session) redial(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	s.close()
	s.conn, s.answered = conn, false
	return nil
}

// exchange returns no message when the connection failed, and what the library
// has against the one that it returns.
func (s *session) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	tcp := s.conn
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	defer stop()
	if err := tcp.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	s.sign(m)
	// One for each message: it would sign the second as following the first.
	conn := &dns.Conn{Conn: tcp, TsigSecret: s.secret}
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	return conn.ReadMsg()
}

// sign adds the record that the library turns into a signature, and takes out
// of m, when it sends it.
func (s *session) sign(m *dns.Msg) {
	m.SetTsig(s.key.owner(), s.key.Algorithm+".", fudge, time.Now().Unix())
}

// failed is a connection that ended: by us, or by itself.
func (s *session) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("DNS server %s: %w", s.server, err)
}

// verify refuses answers that are not the server's to our message. err is what
// the library found.
func (s *session) verify(m, r *dns.Msg, err error) error {
	tsig := r.IsTsig()
	switch {
	case tsig != nil && tsig.Error != dns.RcodeSuccess:
		return s.explainKey(tsig)
	case err != nil && !errors.Is(err, dns.ErrAuth): // NOTAUTH, of which the library reads no further
		return fmt.Errorf("answer of DNS server %s: %w", s.server, err)
	case r.Id != m.Id || !r.Response:
		return fmt.Errorf("answer of DNS server %s: %w", s.server, dns.ErrId)
	case tsig == nil && !slices.Contains(unsigned, r.Rcode):
		return fmt.Errorf("answer of DNS server %s: %w", s.server, errUnsigned)
	}
	return nil
}

// unsigned are the codes of servers that did not get as far as the signature;
// they only end what we do.
var unsigned = []int{dns.RcodeFormatError, dns.RcodeServerFailure, dns.RcodeNotImplemented, dns.RcodeRefused, dns.RcodeNotAuth, dns.RcodeNotZone}

var errUnsigned = errors.New("it is not signed, so that anybody may have sent it")

// transfer fetches the whole zone.
func (s *session) transfer(ctx context.Context, zone string) ([]dns.RR, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	m := new(dns.Msg).SetAxfr(zone)
	s.sign(m)
	// The transfer closes the connection.
	t := &dns.Transfer{Conn: &dns.Conn{Conn: conn}, TsigSecret: s.secret, ReadTimeout: patience}
	messages, err := t.In(m, s.server.String())
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var records []dns.RR
	for message := range messages {
		err = errors.Join(err, message.Error)
		records = append(records, message.RR...)
	}
	return records, err
}
