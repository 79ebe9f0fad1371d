package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/spec"
)

// readResolver bounds the one command that a check runs on a node.
const readResolver = 10 * time.Second

// CheckDNSFrom asks as [Project.CheckDNS] does, but from the node's place in
// the network: through SSH, so over TCP. A zero server is each one that the
// node itself asks. The error is that of SSH, or of servers of which none
// responds; one that does not beside others counts as a wrong answer.
func (p *Project) CheckDNSFrom(ctx context.Context, n spec.Node, server netip.AddrPort) (DNSCheck, error) {
	check := DNSCheck{Cluster: p.cluster.FullName(), Node: n.Name}
	client, err := p.loginAny(ctx, n)
	if err != nil {
		return check, withAdvice(err)
	}
	defer client.Close()
	resolver, err := p.resolverOf(ctx, client, n)
	if err != nil {
		return check, withAdvice(err)
	}
	check.Servers = serversOf(resolver)
	if server.IsValid() {
		check.Servers = []netip.AddrPort{server}
	}
	check.Answers, err = askEach(ctx, client, check.Servers, p.dnsQuestions(resolver.Search))
	return check, adviseNode(err, n)
}

func (p *Project) resolverOf(ctx context.Context, c *sshx.Client, n spec.Node) (probe.Resolver, error) {
	ctx, cancel := context.WithTimeout(ctx, readResolver)
	defer cancel()
	r, err := probe.HostResolver(ctx, c)
	if err != nil {
		err = fmt.Errorf("read the resolver of %s: %w", n.Name, err)
	}
	return r, err
}

func serversOf(r probe.Resolver) (list []netip.AddrPort) {
	for _, a := range r.Servers {
		list = append(list, netip.AddrPortFrom(a, dnsPort))
	}
	return list
}

// askEach asks every server. The servers that do not respond are answers as
// long as another one does.
func askEach(ctx context.Context, through probe.Dialer, servers []netip.AddrPort, questions []probe.Question) (all []probe.Answer, err error) {
	var silent []error
	for _, s := range servers {
		answers, err := probe.DNSThrough(ctx, through, s, questions)
		var failed *sshx.Error
		switch {
		case ctx.Err() != nil, errors.As(err, &failed):
			return nil, err
		case err != nil:
			silent = append(silent, err)
			answers = []probe.Answer{{Question: questions[0], Server: s, Got: err.Error()}}
		}
		all = append(all, answers...)
	}
	if len(silent) == len(servers) {
		return nil, errors.Join(silent...)
	}
	return all, nil
}

func adviseNode(err error, n spec.Node) error {
	if err == nil {
		return nil
	}
	err = hint.With(fmt.Errorf("asked from %s: %w", n.Name, err), "questions from a node go through SSH, so over TCP: does the server answer on TCP port 53 as well?")
	return withAdvice(err)
}

// loginAny opens SSH to a node whichever system it runs. It makes no key and
// remembers none: what is not there yet is the business of `up`.
func (p *Project) loginAny(ctx context.Context, n spec.Node) (*sshx.Client, error) {
	if _, err := os.Stat(p.SSHKey()); errors.Is(err, fs.ErrNotExist) {
		return nil, hint.With(fmt.Errorf("log in to %s: %w", n.Name, err), "the key is made by `slipway up`, which gives it to the nodes")
	}
	signer, _, err := sshx.LoadKey(p.SSHKey(), "")
	if err != nil {
		return nil, err
	}
	hosts, err := sshx.OpenBook(p.file("host_keys.json"))
	if err != nil {
		return nil, err
	}
	return sshx.Dial(ctx, sshx.Target{Address: netip.AddrPortFrom(p.located(n).Address, sshPort), User: p.cluster.SSH.User,
		Signer: signer, Keys: hosts.Either(n.Name+" installed", n.Name+" live")})
}
