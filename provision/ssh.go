package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/spec"
)

// meetTime bounds the first meeting with a node whose host key is not known.
const meetTime = 15 * time.Second

// SSH returns the arguments of ssh(1) that log in to a node with the cluster's
// own key, and nothing else of this user's: not the agent, not known_hosts. The
// node must show the host key that slipway knows it by; one that it has never
// met is met first, and its key remembered when it runs the installed system.
func (p *Project) SSH(ctx context.Context, n spec.Node) ([]string, error) {
	n = p.located(n)
	if !n.Address.IsValid() {
		return nil, hint.With(fmt.Errorf("the address of %s is not known yet", n.Name), "it gets one by DHCP, which `slipway up` learns once it has booted")
	}
	if err := p.hasKey(n); err != nil {
		return nil, err
	}
	known, err := p.knownHosts(ctx, n)
	if err != nil {
		return nil, withAdvice(err)
	}
	path := p.file("known_hosts." + n.Name)
	if err := atomicfile.Write(path, known, 0o600); err != nil {
		return nil, err
	}
	options := []string{
		"IdentitiesOnly=yes", "IdentityAgent=none", "ForwardAgent=no", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no",
		"HostKeyAlias=" + n.Full, "UserKnownHostsFile=\"" + untoken(path) + "\"", "GlobalKnownHostsFile=/dev/null",
		"StrictHostKeyChecking=yes", "UpdateHostKeys=no", "CheckHostIP=no", "ControlPath=none",
	}
	args := []string{"-i", untoken(p.SSHKey()), "-p", strconv.Itoa(sshPort), "-l", p.userOf(n)}
	for _, o := range options {
		args = append(args, "-o", o)
	}
	return append(args, "--", n.Address.String()), nil
}

// userOf is whom slipway logs in as.
func (p *Project) userOf(n spec.Node) string {
	if n.Role == spec.ServicesRole {
		return p.cluster.Services.Machine.User
	}
	return p.cluster.SSH.User
}

// untoken keeps ssh from taking a part of a path for one of its tokens
// (ssh_config(5)).
func untoken(path string) string { return strings.ReplaceAll(path, "%", "%%") }

func (p *Project) hasKey(n spec.Node) error {
	if _, err := os.Stat(p.SSHKey()); errors.Is(err, fs.ErrNotExist) {
		return hint.With(fmt.Errorf("log in to %s: %w", n.Name, err), "the key is made by `slipway up`, which gives it to the nodes")
	}
	return nil
}

// knownHosts are the keys that a node may show: those of its installed system
// and of its live one.
func (p *Project) knownHosts(ctx context.Context, n spec.Node) ([]byte, error) {
	book, err := sshx.OpenBook(p.file("host_keys.json"))
	if err != nil {
		return nil, err
	}
	if installed := book.KnownHosts(n.Full, n.Name+" installed"); len(installed) > 0 {
		return append(installed, book.KnownHosts(n.Full, n.Name+" live")...), nil
	}
	if n.Role == spec.ServicesRole {
		return nil, fmt.Errorf("the host key of %s is not known: `slipway up` has not met it yet", n.Full)
	}
	ctx, cancel := context.WithTimeout(ctx, meetTime)
	defer cancel()
	return p.meet(ctx, book, n)
}

// meet logs in to a node that is not known, as `up` does, and returns the key
// that it showed. That of a live system changes with every boot.
func (p *Project) meet(ctx context.Context, book *sshx.Book, n spec.Node) ([]byte, error) {
	signer, _, err := sshx.LoadKey(p.SSHKey(), "")
	if err != nil {
		return nil, err
	}
	first := &shown{}
	client, err := sshx.Dial(ctx, sshx.Target{Address: netip.AddrPortFrom(n.Address, sshPort), User: p.cluster.SSH.User, Signer: signer, Keys: first})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	facts, err := probe.Host(ctx, client)
	if err != nil {
		return nil, err
	}
	p.emit(event.Event{Kind: event.Note, Node: n.Name, Message: fmt.Sprintf("host key %s of %s is trusted on first use", ssh.FingerprintSHA256(first.key), n.Name)})
	if !facts.Live {
		err = book.Entry(n.Name + " installed").Check(first.key)
	}
	return sshx.KnownHost(n.Full, first.key), err
}

// shown takes any host key and keeps it.
type shown struct{ key ssh.PublicKey }

func (s *shown) Algorithms() []string { return nil }

func (s *shown) Check(key ssh.PublicKey) error {
	s.key = key
	return nil
}
