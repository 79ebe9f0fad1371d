package rehearsal

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/netlab"
)

// A router answers DNS at a network's gateway as home routers do: it knows the
// names of the endpoints and pretends to forward the rest, none of which exists.
type router struct {
	names   map[string]netip.Addr
	servers []*dns.Server
	running sync.WaitGroup
}

// startRouter answers at gateway, UDP and TCP.
func startRouter(ns *netlab.Namespace, gateway netip.Addr, names map[string]netip.Addr) (*router, error) {
	address := joinPort(gateway, 53)
	packets, err := ns.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	connections, err := ns.Listen("tcp", address)
	if err != nil {
		packets.Close()
		return nil, err
	}
	r := &router{names: names}
	r.serve(&dns.Server{PacketConn: packets, Handler: r})
	r.serve(&dns.Server{Listener: connections, Handler: r})
	return r, nil
}

// serve returns once the server has begun, so that Shutdown finds it.
func (r *router) serve(s *dns.Server) {
	begun := make(chan struct{})
	s.NotifyStartedFunc = func() { close(begun) }
	r.servers = append(r.servers, s)
	r.running.Go(func() { s.ActivateAndServe() })
	<-begun
}

// ServeDNS answers one question.
func (r *router) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	a := new(dns.Msg)
	switch {
	case q.Opcode != dns.OpcodeQuery:
		a.SetRcode(q, dns.RcodeNotImplemented)
	case len(q.Question) != 1:
		a.SetRcode(q, dns.RcodeFormatError)
	default:
		r.answer(a, q)
	}
	a.RecursionAvailable = true
	if opt := q.IsEdns0(); opt != nil {
		a.SetEdns0(1232, opt.Do())
	}
	w.WriteMsg(a)
}

func (r *router) answer(a, q *dns.Msg) {
	asked := q.Question[0]
	addr, known := r.names[strings.ToLower(strings.TrimSuffix(asked.Name, "."))]
	a.SetReply(q)
	if !known {
		a.Rcode = dns.RcodeNameError
		a.Ns = []dns.RR{rootSOA}
		return
	}
	head := dns.RR_Header{Name: asked.Name, Rrtype: asked.Qtype, Class: dns.ClassINET, Ttl: 60}
	switch {
	case asked.Qtype == dns.TypeA && addr.Is4():
		a.Answer = []dns.RR{&dns.A{Hdr: head, A: addr.AsSlice()}}
	case asked.Qtype == dns.TypeAAAA && addr.Is6():
		a.Answer = []dns.RR{&dns.AAAA{Hdr: head, AAAA: addr.AsSlice()}}
	}
}

// rootSOA is what a forwarder brings back with NXDOMAIN for names below a
// top-level domain that does not exist (RFC 2308 section 2.1).
var rootSOA = &dns.SOA{
	Hdr:    dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 86400},
	Ns:     "a.root-servers.net.",
	Mbox:   "nstld.verisign-grs.com.",
	Serial: 2026010100, Refresh: 1800, Retry: 900, Expire: 604800, Minttl: 86400,
}

// Close ends the servers and waits for them.
func (r *router) Close() error {
	for _, s := range r.servers {
		s.Shutdown()
	}
	r.running.Wait()
	return nil
}
