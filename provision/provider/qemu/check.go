package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// A survey is what Check has learned.
type survey struct {
	want     provider.Request
	new      []provider.Machine // wanted machines that are not there yet
	problems []provider.Problem
}

func (s *survey) fatal(advice, what string, args ...any) {
	s.problems = append(s.problems, provider.Problem{What: fmt.Sprintf(what, args...), Hint: advice, Fatal: true})
}

func (s *survey) warn(advice, what string, args ...any) {
	s.problems = append(s.problems, provider.Problem{What: fmt.Sprintf(what, args...), Hint: advice})
}

func (s *survey) failed(err error) {
	s.problems = append(s.problems, provider.Problem{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err})
}

// Check looks for everything on this host that would fail later.
func (p *Provider) Check(ctx context.Context, want provider.Request) []provider.Problem {
	s := &survey{want: want}
	if runtime.GOOS != "linux" {
		s.fatal("run slipway on Linux, in a virtual machine if need be", "machines of provider qemu need Linux")
		return s.problems
	}
	if !s.checkProgram() || !p.checkDir(s) {
		return s.problems
	}
	p.checkAccel(ctx, s)
	p.checkFirmware(s)
	p.checkMachines(ctx, s)
	p.checkMemory(s)
	p.checkDisks(s)
	p.checkLinks(s)
	return s.problems
}

func (s *survey) checkProgram() bool {
	_, err := exec.LookPath(qemu.Program)
	if err != nil {
		s.fatal("install QEMU: package qemu-system-x86 (Debian, Ubuntu), qemu-kvm (Fedora, RHEL), qemu-system-x86 (Arch)", "%s is not installed", qemu.Program)
	}
	return err == nil
}

// mostSocket is the longest path of a socket (unix(7)), and what is between
// the directory and a socket of ours.
const (
	mostSocket = 107
	belowDir   = len("/machines/01234567/qmp.sock")
)

func (p *Provider) checkDir(s *survey) bool {
	if len(p.dir)+belowDir > mostSocket {
		s.fatal("set dir in the provider block to a shorter path", "the path of the directory of machines, %s, is too long for sockets in it", p.dir)
		return false
	}
	if err := writable(p.dir); err != nil {
		s.fatal("set dir in the provider block to a directory of yours", "machines cannot be kept in %s: %v", p.dir, err)
		return false
	}
	return true
}

// writable asks for the directory, or for the nearest that is there already.
func writable(dir string) error {
	err := unix.Access(dir, unix.W_OK|unix.X_OK)
	switch {
	case err == nil:
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = errors.New("it is not a directory")
		}
		return err
	case errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir):
		return writable(filepath.Dir(dir))
	}
	return err
}

func (p *Provider) checkAccel(ctx context.Context, s *survey) {
	accel, why, err := p.accel()
	switch {
	case err != nil:
		s.failed(err)
	case p.cfg.Accel == qemu.KVM:
		if err := qemu.Try(ctx, qemu.KVM); err != nil {
			s.fatal("write accel = \"auto\" to go on without, or give this user access to /dev/kvm (group kvm) and turn virtualization on in the firmware", "machines do not run here: %v", err)
		}
	case accel == qemu.TCG && p.cfg.Accel == "":
		s.warn("machines run about ten times slower: enough for a rehearsal, too slow for a real OpenShift or OKD; write accel = \"tcg\" to hear of this no more",
			"KVM does not work here, machines are emulated: %s", why)
	}
}

func (p *Provider) checkFirmware(s *survey) {
	if !p.cfg.UEFI {
		return
	}
	if _, _, err := p.firmware(); err != nil {
		s.fatal("install it, or write firmware = \"bios\"", "%v", err)
	}
}

// checkMachines tells of a supervisor that does not answer, and of what its
// machines met.
func (p *Provider) checkMachines(ctx context.Context, s *survey) {
	there := map[string]bool{}
	for _, cluster := range clusters(s.want.Machines) {
		found, err := p.Find(ctx, provider.Mark{Cluster: cluster})
		if err != nil {
			s.failed(err)
		}
		for _, m := range found {
			there[m.Name] = true
			for _, note := range m.Adrift {
				s.warn("its console: "+qemu.VM{Dir: p.machineDir(m.ID)}.Serial(), "machine %s: %s", m.Name, note)
			}
		}
		p.checkBoard(s, cluster)
	}
	for _, m := range s.want.Machines {
		if !there[m.Name] {
			s.new = append(s.new, m)
		}
	}
}

// checkBoard tells of what goes on in the private network of a cluster.
func (p *Provider) checkBoard(s *survey, cluster string) {
	notices, err := readBoard(p.runDir(cluster))
	if err != nil {
		s.failed(err)
	}
	for _, notice := range notices {
		s.warn("the network is of this cluster's machines alone: look which of them it is", "%s", notice)
	}
}

func clusters(machines []provider.Machine) (names []string) {
	seen := map[string]bool{}
	for _, m := range machines {
		if !seen[m.Mark.Cluster] {
			seen[m.Mark.Cluster] = true
			names = append(names, m.Mark.Cluster)
		}
	}
	return names
}

// checkDisks compares what new disks and the image may grow to with the room
// there is. They are sparse: that it does not fit yet is a warning.
func (p *Provider) checkDisks(s *survey) {
	var need int64
	for _, m := range s.new {
		for _, gib := range disks(m) {
			need += int64(gib) << 30
		}
	}
	free, err := room(p.dir)
	switch {
	case err != nil:
		s.failed(fmt.Errorf("room in %s: %w", p.dir, err))
	case s.want.ImageBytes > free:
		s.fatal("make room, or set dir in the provider block", "the boot image has %s, and %s has room for %s", size(s.want.ImageBytes), p.dir, size(free))
	case need > free:
		s.warn("a machine whose disk cannot grow is stopped: make room before, or set dir in the provider block",
			"disks may grow to %s, and %s has room for %s", size(need), p.dir, size(free))
	}
}

// room is how many bytes can be written in dir, or the nearest that is there.
func room(dir string) (int64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	if errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
		return room(filepath.Dir(dir))
	}
	return int64(fs.Bavail) * int64(fs.Bsize), err
}

func size(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
