package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/sshx"
)

// What a Question can want of a name beside data.
const (
	NXDOMAIN = "NXDOMAIN" // the name does not exist
	NODATA   = "NODATA"   // it exists, without records of the type (RFC 2308)
)

const (
	dnsTimeout  = 2 * time.Second // for one packet there and back
	dnsTries    = 2               // packets over UDP can get lost
	dnsParallel = 16              // questions under way
)

// A Question is one question to a DNS server, and the answer it must give.
type Question struct {
	Name string `json:"name"` // absolute
	Type string `json:"type"` // A, AAAA, PTR
	Want string `json:"want"` // data as Data writes it, or NXDOMAIN, or NODATA
}

// An Answer is what a server said.
type Answer struct {
	Question
	Server netip.AddrPort `json:"server"`
	Got    string         `json:"got"` // like Want; or another response code, or why there was no response
	OK     bool           `json:"ok"`
}

// A Dialer opens connections from the place where questions are to be asked.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// An asker asks one server.
type asker struct {
	server netip.AddrPort
	dialer Dialer
	first  string // the network to try, "udp" or "tcp"
}

// Data writes the data of a record set: in order, separated by commas.
func Data(records ...string) string {
	slices.Sort(records)
	return strings.Join(records, ", ")
}

// DNS asks server the questions, as the resolver of a host would: over UDP,
// and over TCP where the answer was cut. The answers come in the order of the
// questions. The error is that of a server which does not respond to the
// first one, or of ctx.
func DNS(ctx context.Context, server netip.AddrPort, questions []Question) ([]Answer, error) {
	return asker{server, &net.Dialer{}, "udp"}.all(ctx, questions)
}

// DNSThrough is [DNS] through connections that dialer opens, so over TCP alone.
func DNSThrough(ctx context.Context, dialer Dialer, server netip.AddrPort, questions []Question) ([]Answer, error) {
	return asker{server, dialer, "tcp"}.all(ctx, questions)
}

func (a asker) all(ctx context.Context, questions []Question) ([]Answer, error) {
	answers := make([]Answer, len(questions))
	if len(questions) == 0 {
		return answers, nil
	}
	first, err := a.ask(ctx, questions[0])
	if err != nil {
		return nil, fmt.Errorf("DNS server %s: %w", a.server, err)
	}
	answers[0] = a.verdict(questions[0], first, nil)
	var group sync.WaitGroup
	slots := make(chan struct{}, dnsParallel)
	for i, q := range questions[1:] {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			got, err := a.ask(ctx, q)
			answers[i+1] = a.verdict(q, got, err)
		})
	}
	group.Wait()
	return answers, context.Cause(ctx)
}

func (a asker) verdict(q Question, got string, err error) Answer {
	if err != nil {
		got = err.Error()
	}
	return Answer{Question: q, Server: a.server, Got: got, OK: err == nil && strings.EqualFold(got, q.Want)}
}

// ask returns what the server says, in the words of a Question.
func (a asker) ask(ctx context.Context, q Question) (string, error) {
	kind, ok := dns.StringToType[q.Type]
	if !ok {
		return "", fmt.Errorf("type %q is unknown", q.Type)
	}
	query := new(dns.Msg).SetQuestion(q.Name, kind)
	reply, err := a.patiently(ctx, query)
	if err == nil && reply.Truncated && a.first != "tcp" {
		reply, err = a.exchange(ctx, "tcp", query)
	}
	if err != nil {
		return "", reason(err)
	}
	return says(reply, kind), nil
}

// patiently sends the query again when no response came.
func (a asker) patiently(ctx context.Context, query *dns.Msg) (reply *dns.Msg, err error) {
	for range dnsTries {
		reply, err = a.exchange(ctx, a.first, query)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return reply, err
}

func (a asker) exchange(ctx context.Context, network string, query *dns.Msg) (*dns.Msg, error) {
	conn, err := a.dial(ctx, network)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // wakes a blocked read
	defer stop()
	client := dns.Client{Net: network, Timeout: dnsTimeout}
	reply, _, err := client.ExchangeWithConn(query, &dns.Conn{Conn: conn})
	return reply, err
}

func (a asker) dial(ctx context.Context, network string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	return a.dialer.DialContext(ctx, network, a.server.String())
}

// reason leaves out of a network error what differs from run to run.
func reason(err error) error {
	var failure net.Error
	var number syscall.Errno
	var login *sshx.Error
	switch {
	case errors.As(err, &login):
		return login
	case errors.As(err, &failure) && failure.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no response within %v", dnsTimeout)
	case errors.As(err, &number):
		return number
	}
	return err
}

// says reads the answer section whatever its owner names are: an alias leads
// to the data of another name.
func says(reply *dns.Msg, kind uint16) string {
	var data []string
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == kind {
			data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	switch {
	case reply.Rcode == dns.RcodeNameError:
		return NXDOMAIN
	case reply.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[reply.Rcode]
	case len(data) == 0:
		return NODATA
	}
	return Data(data...)
}
