package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/services/install"
)

// A Target is how a services host is reached.
type Target struct {
	Host    string // name or address, as the user wrote it
	Port    uint16 // of sshd; 0: 22
	User    string
	Signers []ssh.Signer
	// HostKey pins the host's key, written as in known_hosts; "" asks the
	// KnownHosts files.
	HostKey    string
	KnownHosts []string
	// Keys decides in their place about the host's key; nil: they do.
	Keys sshx.HostKeys
}

// A Host is a services host that is logged in to, for one cluster.
type Host struct {
	name   string
	client *sshx.Client
	sudo   string // before commands that need root
	owner  string
	layout install.Layout
}

// Dial logs in to t. The owner is the full name of the cluster.
func Dial(ctx context.Context, t Target, owner string) (*Host, error) {
	at, err := t.resolve(ctx)
	if err != nil {
		return nil, fmt.Errorf("services host %s: %w", t.Host, err)
	}
	keys, err := t.keys(at)
	if err != nil {
		return nil, fmt.Errorf("services host %s: %w", t.Host, err)
	}
	client, err := sshx.Dial(ctx, sshx.Target{Address: at, User: t.User, Signers: t.Signers, Keys: keys})
	if err != nil {
		return nil, fmt.Errorf("services host %s: %w", t.Host, t.advise(err))
	}
	h := &Host{name: t.Host, client: client, owner: owner, layout: install.LayoutOf(owner)}
	if t.User != "root" {
		h.sudo = "sudo -n "
	}
	return h, nil
}

func (t Target) resolve(ctx context.Context) (netip.AddrPort, error) {
	port := t.Port
	if port == 0 {
		port = 22
	}
	if a, err := netip.ParseAddr(t.Host); err == nil {
		return netip.AddrPortFrom(a, port), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.Host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(found[0].Unmap(), port), nil
}

func (t Target) keys(at netip.AddrPort) (sshx.HostKeys, error) {
	if t.Keys != nil {
		return t.Keys, nil
	}
	if t.HostKey != "" {
		return sshx.Pinned(t.HostKey)
	}
	return sshx.Known(t.Host, at, t.KnownHosts...)
}

// advise says what to do about a host that nobody has vouched for, or that
// does not let us in: other advice than for a node.
func (t Target) advise(err error) error {
	if unknown := new(sshx.UnknownHostError); errors.As(err, &unknown) {
		return hint.With(err, fmt.Sprintf("if that is its key (ssh-keygen -lf /etc/ssh/ssh_host_*.pub there), write host_key = %q into the ssh block", unknown.Line()))
	}
	if failure := new(sshx.Error); errors.As(err, &failure) {
		if failure.Class == sshx.Auth {
			return hint.With(err, fmt.Sprintf("give it your key: ssh-copy-id %s@%s", t.User, t.Host))
		}
		return hint.With(err, failure.Class.Advice())
	}
	return err
}

// Close ends the connection; the services go on.
func (h *Host) Close() error { return h.client.Close() }

// root runs a command as root.
func (h *Host) root(ctx context.Context, stdin []byte, command string) (string, error) {
	out, err := h.client.Pipe(ctx, h.sudo+command, bytes.NewReader(stdin))
	if err != nil {
		err = fmt.Errorf("services host %s: %w", h.name, err)
	}
	return out, err
}

// Apply has the host serve d: it brings the program there unless it is there
// already, installs it, and waits until d is served. It may be repeated.
func (h *Host) Apply(ctx context.Context, program string, d services.Document, noFirewall bool) error {
	document, err := json.Marshal(d)
	if err != nil {
		return err
	}
	at, err := h.bring(ctx, program)
	if err != nil {
		return err
	}
	command := fmt.Sprintf("%s serve --install --owner %s --document -", at, h.owner)
	if noFirewall {
		command += " --no-firewall"
	}
	_, err = h.root(ctx, document, command)
	return err
}

// settled ends when nobody else installs packages: cloud-init and apt's timers
// do when a machine has just been made.
const settled = `sh -c '
command -v cloud-init >/dev/null && cloud-init status --wait >/dev/null 2>&1
for unit in apt-daily apt-daily-upgrade; do
	while [ "$(systemctl is-active $unit.service 2>/dev/null)" = activating ]; do sleep 2; done
done
true'`

// Settle waits until a machine that has just been made is done with itself.
func (h *Host) Settle(ctx context.Context) error {
	if _, err := h.client.Run(ctx, settled); err != nil {
		return fmt.Errorf("services host %s: wait for cloud-init: %w", h.name, err)
	}
	return nil
}

// Status asks the services on the host how they are.
func (h *Host) Status(ctx context.Context) (services.Status, error) {
	var st services.Status
	out, err := h.root(ctx, nil, fmt.Sprintf("%s serve status --owner %s --run-dir %s -o json", h.layout.Program(), h.owner, h.layout.RunDir()))
	if err == nil {
		err = json.Unmarshal([]byte(out), &st)
	}
	return st, err
}

// Installed reports whether the host has services of the cluster.
func (h *Host) Installed(ctx context.Context) (bool, error) {
	out, err := h.client.Run(ctx, "test -e "+filepath.Dir(h.layout.Document())+" && echo yes || echo no")
	if err != nil {
		return false, fmt.Errorf("services host %s: %w", h.name, err)
	}
	return strings.TrimSpace(out) == "yes", nil
}

// Remove takes everything of the cluster off the host. Nothing there is no
// error.
func (h *Host) Remove(ctx context.Context, program string) error {
	there, err := h.Installed(ctx)
	if err != nil || !there {
		return err
	}
	at, err := h.bring(ctx, program)
	if err != nil {
		return err
	}
	if _, err := h.root(ctx, nil, fmt.Sprintf("%s serve --uninstall --owner %s", at, h.owner)); err != nil {
		return err
	}
	_, err = h.root(ctx, nil, fmt.Sprintf("sh -c 'rm -rf %s; rmdir %s 2>/dev/null || true'", filepath.Dir(at), filepath.Dir(filepath.Dir(at))))
	return err
}

// bring copies the program to the host, unless it is there, and returns where
// it is. A copy under way is never run: it gets its name when it is whole.
func (h *Host) bring(ctx context.Context, program string) (string, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	if err := h.fits(ctx, data); err != nil {
		return "", err
	}
	at := h.layout.Program()
	sum := digest(data)
	out, err := h.root(ctx, nil, "sh -c 'sha256sum "+at+" 2>/dev/null || true'")
	if err != nil || strings.HasPrefix(out, sum+" ") {
		return at, err
	}
	next := filepath.Join(filepath.Dir(at), "slipway-"+sum[:12])
	_, err = h.root(ctx, data, fmt.Sprintf("sh -c 'umask 022 && mkdir -p %s && cat > %s.part && chmod 755 %s.part && mv %s.part %s'", filepath.Dir(at), next, next, next, next))
	return next, err
}
