package qemu

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// holdTime is how long a holder may take to answer for the first time.
const holdTime = 15 * time.Second

// A privateNet is the network of a cluster as its supervisor keeps it.
type privateNet struct {
	holder    *exec.Cmd
	wait      func() error
	uplink    *qemu.Uplink
	published []provider.Published
}

// net brings the network to what n says, and starts it when it is not there.
func (s *supervisor) net(ctx context.Context, n provider.Net) ([]provider.Published, error) {
	s.wiring.Lock()
	defer s.wiring.Unlock()
	if s.private == nil {
		p, err := s.hold(ctx)
		if err != nil {
			return nil, fmt.Errorf("private network: %w", err)
		}
		s.private = p
	}
	if _, _, err := askHolder(ctx, s.run, netRequest{Segments: n.Segments}); err != nil {
		return nil, fmt.Errorf("private network: %w", err)
	}
	if err := s.private.publish(ctx, s, n.Publish); err != nil {
		return nil, fmt.Errorf("private network: way out: %w", err)
	}
	return s.private.published, nil
}

// hold starts the process that the network belongs to. It dies with us.
func (s *supervisor) hold(ctx context.Context) (*privateNet, error) {
	cmd := exec.Command("/proc/self/exe", "qemu", "network", "--dir", s.Dir, "--owner", s.Owner)
	cmd.Stdout, cmd.Stderr, cmd.Dir = s.Log, s.Log, s.run
	_ = os.Remove(filepath.Join(s.run, netSocket)) // of one that was killed
	wait, err := netlab.Spawn(cmd)
	if err != nil {
		return nil, err
	}
	p := &privateNet{holder: cmd, wait: wait}
	ctx, cancel := context.WithTimeoutCause(ctx, holdTime, fmt.Errorf("its process does not answer after %s", holdTime))
	defer cancel()
	tick := time.NewTicker(beginPoll)
	defer tick.Stop()
	for {
		reply, _, err := askHolder(ctx, s.run, netRequest{})
		if err == nil {
			s.mu.Lock()
			s.enter = reply.Enter
			s.mu.Unlock()
			return p, nil
		}
		select {
		case <-ctx.Done():
			p.close()
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// close ends the network.
func (p *privateNet) close() {
	if p.uplink != nil {
		p.uplink.Close()
	}
	_ = p.holder.Process.Signal(syscall.SIGTERM) // or it has ended
	_ = p.wait()
}

// publish starts the way out, anew when other addresses are to be published.
func (p *privateNet) publish(ctx context.Context, s *supervisor, addrs []netip.AddrPort) error {
	same := slices.EqualFunc(p.published, addrs, func(p provider.Published, a netip.AddrPort) bool { return p.Inside == a })
	if p.uplink != nil && same && p.uplink.Alive() {
		return nil
	}
	if p.uplink != nil {
		p.uplink.Close()
	}
	published, err := places(s.Dir, s.Owner, addrs)
	if err != nil {
		return err
	}
	_, tap, err := askHolder(ctx, s.run, netRequest{Uplink: true})
	if err != nil {
		return err
	}
	defer tap.Close()
	u := qemu.UserNet{Name: "uplink of " + s.Owner, Net: uplinkNet, Host: uplinkHost, DNS: uplinkDNS}
	for _, at := range published {
		u.Forwards = append(u.Forwards, qemu.Forward{Host: at.Host, Guest: at.Inside})
	}
	if p.uplink, err = qemu.StartUplink(ctx, u, tap); err != nil {
		return err
	}
	p.published = published
	return nil
}

// places chooses a loopback address of this host for a cluster, 127.77.N.1, on
// which all its ports are free, and ports that need no rights where ours do.
func places(dir, owner string, addrs []netip.AddrPort) ([]provider.Published, error) {
	hash := fnv.New32a()
	fmt.Fprint(hash, dir, " ", owner)
	first := hash.Sum32() % 254
	for i := range uint32(254) {
		at := netip.AddrFrom4([4]byte{127, 77, byte(1 + (first+i)%254), 1})
		if published := on(at, addrs); published != nil || len(addrs) == 0 {
			return published, nil
		}
	}
	return nil, fmt.Errorf("no address of 127.77.0.0/16 has its ports free")
}

// unprivileged is added to low ports that we may not listen on: 8443 for 443.
const unprivileged = 8000

// on returns nil when a port is taken.
func on(at netip.Addr, addrs []netip.AddrPort) (all []provider.Published) {
	for _, inside := range addrs {
		host := netip.AddrPortFrom(at, inside.Port())
		err := free(host)
		if errors.Is(err, os.ErrPermission) {
			host = netip.AddrPortFrom(at, unprivileged+inside.Port())
			err = free(host)
		}
		if err != nil {
			return nil
		}
		all = append(all, provider.Published{Inside: inside, Host: host})
	}
	return all
}

func free(at netip.AddrPort) error {
	l, err := net.Listen("tcp", at.String())
	if err == nil {
		err = l.Close()
	}
	return err
}

var _ provider.Netter = (*Provider)(nil)

// EnsureNet has the supervisor make the network, where it is private.
func (p *Provider) EnsureNet(ctx context.Context, owner provider.Mark, n provider.Net) (published []provider.Published, err error) {
	if p.cfg.Network != NetworkPrivate {
		return nil, nil
	}
	if err = p.summon(ctx, owner.Cluster); err == nil {
		err = ask(ctx, socketPath(p.runDir(owner.Cluster)), http.MethodPost, "/net", n, &published)
	}
	if err != nil {
		return nil, fmt.Errorf("network of %s: %w", owner.Cluster, err)
	}
	return published, nil
}

// Enter asks the supervisor for the way in, and adds the one back to the
// working directory: entering a mount namespace leaves it.
func (p *Provider) Enter(ctx context.Context, owner provider.Mark) ([]string, error) {
	if p.cfg.Network != NetworkPrivate {
		return nil, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	st, err := p.status(ctx, owner.Cluster)
	if err == nil && st.Enter == nil {
		err = errGone
	}
	if err != nil {
		return nil, fmt.Errorf("network of %s: %w", owner.Cluster, err)
	}
	argv := slices.DeleteFunc(st.Enter, func(arg string) bool { return arg == "--wd" })
	return append(argv, "env", "--chdir="+here), nil
}

// ReleaseNet ends the supervisor, and the network with it.
func (p *Provider) ReleaseNet(ctx context.Context, owner provider.Mark) error {
	if p.cfg.Network != NetworkPrivate {
		return nil
	}
	left, err := records(p.dir, provider.Mark{Cluster: owner.Cluster})
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("machine %s is on it", left[0].Machine.Name)
	}
	if err == nil {
		err = p.retire(ctx, owner)
	}
	if err != nil {
		return fmt.Errorf("release network of %s: %w", owner.Cluster, err)
	}
	return nil
}
