//go:build servers

package remote

import (
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/services/remote/remotetest"
)

const owner = "mycluster.lab.test"

// document is served on an address of the loopback network.
func document(serial uint64) services.Document {
	at := netip.MustParseAddr("127.77.53.210")
	return services.Build(services.View{Name: "mycluster", Domain: "lab.test", Services: at,
		Network: netip.MustParsePrefix("127.77.53.0/24"), Serial: serial})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// boot starts a Debian's sshd on a free port.
func boot(t *testing.T) (*remotetest.Debian, netip.AddrPort) {
	t.Helper()
	d := remotetest.Boot(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	at := l.Addr().(*net.TCPAddr).AddrPort()
	must(t, l.Close())
	d.Listen(at)
	return d, at
}

// target is how it is reached.
func target(d *remotetest.Debian, at netip.AddrPort) Target {
	return Target{Host: at.Addr().String(), Port: at.Port(), User: remotetest.User, Signers: []ssh.Signer{d.Key}, HostKey: d.HostKey}
}

func answers(t *testing.T) string {
	t.Helper()
	m := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)
	reply, err := dns.Exchange(m, "127.77.53.210:53")
	if err != nil || len(reply.Answer) == 0 {
		return ""
	}
	return reply.Answer[0].(*dns.A).A.String()
}

// A services host goes from nothing to serving, to another document, to
// another program, and back to nothing.
func TestServicesHost(t *testing.T) {
	d, at := boot(t)
	before := d.Changed()
	h, err := Dial(t.Context(), target(d, at), owner)
	must(t, err)
	defer h.Close()
	for _, p := range h.Check(t.Context(), document(1)) {
		if !strings.Contains(p.What, "has not the services address") { // all of 127/8 is ours without being listed
			t.Errorf("%s (%s)", p.What, p.Hint)
		}
	}
	first := remotetest.Program(t, "first")
	must(t, h.Apply(t.Context(), first, document(1), false))
	if got := answers(t); got != "127.77.53.210" {
		t.Errorf("it answers %q", got)
	}
	begun, err := h.Status(t.Context())
	must(t, err)
	if begun.Serial != 1 || begun.Owner != owner || !strings.HasPrefix(begun.Balancer.Name, "haproxy") {
		t.Errorf("status: document %d of %s, balancer %s", begun.Serial, begun.Owner, begun.Balancer.Name)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--root="+d.Root, filepath.Join("/etc/systemd/system", h.layout.Unit())).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}

	must(t, h.Apply(t.Context(), first, document(2), false))
	same, err := h.Status(t.Context())
	must(t, err)
	if same.Serial != 2 || same.PID != begun.PID {
		t.Errorf("another document: %d is served by pid %d, before by %d", same.Serial, same.PID, begun.PID)
	}
	must(t, h.Apply(t.Context(), remotetest.Program(t, "second"), document(2), false))
	newer, err := h.Status(t.Context())
	must(t, err)
	if newer.PID == begun.PID {
		t.Error("another program was not started")
	}
	out, err := h.root(t.Context(), nil, h.layout.Program()+" version")
	must(t, err)
	if !strings.Contains(out, "second") {
		t.Errorf("the program there is %s", out)
	}

	for range 2 { // the second time nothing is left to do
		must(t, h.Remove(t.Context(), first))
	}
	if got := answers(t); got != "" {
		t.Errorf("after the removal it answers %q", got)
	}
	if left := d.Changed(); strings.Join(left, " ") != strings.Join(before, " ") {
		t.Errorf("left: %v, before: %v", left, before)
	}
}

// What cannot be is said before anything is made there.
func TestServicesHostRefuses(t *testing.T) {
	d, at := boot(t)
	unknown := target(d, at)
	unknown.HostKey = ""
	_, err := Dial(t.Context(), unknown, owner)
	if err == nil || !strings.Contains(err.Error(), "is not known") || !strings.Contains(hint.Of(err), `write host_key = "ssh-ed25519 `) {
		t.Errorf("an unknown host: %v (%s)", err, hint.Of(err))
	}
	other := target(d, at)
	other.User = "nobody-there"
	_, err = Dial(t.Context(), other, owner)
	if err == nil || !strings.Contains(hint.Of(err), "ssh-copy-id nobody-there@") {
		t.Errorf("an unknown user: %v (%s)", err, hint.Of(err))
	}
	h, err := Dial(t.Context(), target(d, at), owner)
	must(t, err)
	defer h.Close()
	d.Write("etc/sudoers.d/admin", remotetest.User+" ALL=(ALL) ALL\n", 0o440)
	problems := h.Check(t.Context(), document(1))
	if len(problems) != 1 || !strings.Contains(problems[0].What, "a password is required") {
		t.Errorf("sudo with a password: %+v", problems)
	}
	if err := h.Apply(t.Context(), "/bin/true", document(1), false); err == nil || !strings.Contains(err.Error(), "needs libraries of this host") {
		t.Errorf("a program with libraries: %v", err)
	}
	if left := d.Changed(); left != nil {
		t.Errorf("left: %v", left)
	}
}
