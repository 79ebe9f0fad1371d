//go:build servers && nightly

package remote

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/services/remote/remotetest"
)

// patience is for a machine without KVM on a host that has more to do.
const patience = 10 * time.Minute

// until asks again every other second.
func until(t *testing.T, what string, asked func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		err := asked(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// login waits for the machine's sshd.
func login(t *testing.T, vm *remotetest.VM) (h *Host) {
	t.Helper()
	at := vm.SSH.(*net.TCPAddr).AddrPort()
	until(t, "log in", func(ctx context.Context) (err error) {
		h, err = Dial(ctx, Target{Host: at.Addr().String(), Port: at.Port(), User: remotetest.User, Signers: []ssh.Signer{vm.Key}, HostKey: vm.HostKey}, owner)
		return err
	})
	return h
}

// ask prints what a command says there, well or not.
func ask(t *testing.T, h *Host, command string) string {
	t.Helper()
	out, err := h.root(t.Context(), nil, "sh -c '"+command+"; true'")
	must(t, err)
	return strings.TrimSpace(out)
}

func answer(vm *remotetest.VM) string {
	reply, err := dns.Exchange(new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA), vm.DNS.String())
	if err != nil || len(reply.Answer) == 0 {
		return ""
	}
	return reply.Answer[0].(*dns.A).A.String()
}

// Under systemd itself the services begin, come back after a reboot, and go
// without a trace.
func TestServicesMachine(t *testing.T) {
	vm := remotetest.BootVM(t)
	program := remotetest.Program(t, "first")
	d := services.Build(services.View{Name: "mycluster", Domain: "lab.test", Services: vm.Address,
		Network: netip.PrefixFrom(vm.Address, 24).Masked(), Serial: 1})
	h := login(t, vm)
	for _, p := range h.Check(t.Context(), d) {
		t.Errorf("%s (%s)", p.What, p.Hint)
	}
	const traces = "ls -d /etc/slipway* /run/slipway* /usr/local/libexec/* /etc/systemd/system/slipway* /etc/systemd/system/*/slipway* /etc/systemd/system/haproxy* 2>/dev/null; dpkg --list | grep haproxy"
	before := ask(t, h, traces)
	must(t, h.Apply(t.Context(), program, d, false))
	if got := answer(vm); got != vm.Address.String() {
		t.Errorf("it answers %q", got)
	}

	boot := ask(t, h, "cat /proc/sys/kernel/random/boot_id")
	_, _ = h.root(t.Context(), nil, "systemctl reboot") // the connection may not live to tell
	h.Close()
	until(t, "reboot", func(ctx context.Context) error {
		h = login(t, vm)
		now, err := h.root(ctx, nil, "cat /proc/sys/kernel/random/boot_id")
		if err == nil && strings.TrimSpace(now) != boot {
			return nil
		}
		h.Close()
		return errors.Join(err, errors.New("it runs as before"))
	})
	defer h.Close()
	until(t, "status", func(ctx context.Context) error {
		st, err := h.Status(ctx)
		if err == nil && (st.Serial != 1 || !strings.HasPrefix(st.Balancer.Name, "haproxy")) {
			t.Errorf("after the reboot it serves document %d, balancer %s", st.Serial, st.Balancer.Name)
		}
		return err
	})
	if got := answer(vm); got != vm.Address.String() {
		t.Errorf("after the reboot it answers %q", got)
	}

	must(t, h.Remove(t.Context(), program))
	if got := ask(t, h, traces); got != before {
		t.Errorf("left: %s\nbefore: %s", got, before)
	}
	if got := ask(t, h, "systemctl list-units --all --no-legend slipway*; systemctl --failed --no-legend"); got != "" {
		t.Errorf("systemd knows still: %s", got)
	}
}
