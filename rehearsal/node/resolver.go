package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// dnsTimeout is how long a resolver waits for one server (resolv.conf(5)).
const dnsTimeout = 5 * time.Second

// A resolver asks the servers of resolv.conf in their order.
type resolver struct {
	servers []netip.Addr
	search  []string
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	timeout time.Duration
}

// errNoName is the answer NXDOMAIN, and a name without addresses.
var errNoName = errors.New("no such host")

// lookup returns the addresses of name, IPv4 first.
func (r resolver) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	var last error
	for _, candidate := range r.candidates(name) {
		v4, v6, err4, err6 := r.both(ctx, candidate)
		if addrs := append(addresses(v4), addresses(v6)...); len(addrs) > 0 {
			return addrs, nil
		}
		if last = errors.Join(err4, err6); last != nil && !errors.Is(last, errNoName) {
			break // a server that fails is no reason to try other names
		}
	}
	if last == nil || errors.Is(last, errNoName) {
		last = errNoName
	}
	return nil, fmt.Errorf("lookup %s: %w", name, last)
}

// both asks for IPv4 and IPv6 side by side, as glibc and Go do: a server that
// is off is waited for once.
func (r resolver) both(ctx context.Context, name string) (v4, v6 []dns.RR, err4, err6 error) {
	var group sync.WaitGroup
	group.Go(func() { v6, err6 = r.records(ctx, name, dns.TypeAAAA) })
	v4, err4 = r.records(ctx, name, dns.TypeA)
	group.Wait()
	return v4, v6, err4, err6
}

// candidates are the names to ask for: a name that ends in a dot is whole, any
// other is tried as it is and then below each search domain.
func (r resolver) candidates(name string) []string {
	list := []string{dns.Fqdn(name)}
	if strings.HasSuffix(name, ".") {
		return list
	}
	for _, domain := range r.search {
		list = append(list, dns.Fqdn(name+"."+domain))
	}
	return list
}

func addresses(records []dns.RR) []netip.Addr {
	var list []netip.Addr
	for _, record := range records {
		switch r := record.(type) {
		case *dns.A:
			if a, ok := netip.AddrFromSlice(r.A.To4()); ok {
				list = append(list, a)
			}
		case *dns.AAAA:
			if a, ok := netip.AddrFromSlice(r.AAAA); ok {
				list = append(list, a)
			}
		}
	}
	return list
}

// reverse returns the first PTR name of addr, without the final dot; "" when
// there is none.
func (r resolver) reverse(ctx context.Context, addr netip.Addr) string {
	name, err := dns.ReverseAddr(addr.String())
	if err != nil {
		return ""
	}
	records, _ := r.records(ctx, name, dns.TypePTR)
	for _, record := range records {
		if ptr, ok := record.(*dns.PTR); ok {
			return strings.TrimSuffix(ptr.Ptr, ".")
		}
	}
	return ""
}

// records asks the servers in turn, each once; it returns the answer section.
func (r resolver) records(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	last := errors.New("no DNS server is configured")
	for _, server := range r.servers {
		reply, err := r.ask(ctx, server, name, kind)
		switch {
		case err != nil:
			last = err
		case reply.Rcode == dns.RcodeNameError:
			return nil, errNoName
		case reply.Rcode == dns.RcodeSuccess:
			return reply.Answer, nil
		default:
			last = fmt.Errorf("DNS server %s answers %s", server, dns.RcodeToString[reply.Rcode])
		}
	}
	return nil, last
}

// ask sends one question over UDP, and again over TCP when the answer was cut.
func (r resolver) ask(ctx context.Context, server netip.Addr, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, kind)
	question.SetEdns0(1232, false)
	reply, err := r.exchange(ctx, "udp", server, question)
	if err == nil && reply.Truncated {
		return r.exchange(ctx, "tcp", server, question)
	}
	return reply, err
}

func (r resolver) exchange(ctx context.Context, network string, server netip.Addr, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	conn, err := r.dial(ctx, network, net.JoinHostPort(server.String(), "53"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	client := &dns.Client{Net: network, Timeout: r.timeout}
	reply, _, err := client.ExchangeWithConn(q, &dns.Conn{Conn: conn, UDPSize: 1232})
	if err != nil {
		return nil, fmt.Errorf("ask DNS server %s: %w", server, err)
	}
	return reply, nil
}
