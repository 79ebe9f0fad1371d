package qemu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

func TestCheck(t *testing.T) {
	needQEMU(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := asked(0)
	huge.Memory, huge.Disk = 1<<30, 1<<20
	for _, c := range []struct {
		name   string
		dir    string
		change func(*Config, *provider.Request)
		want   []string // what, and whether it is fatal
	}{
		{"all is well", "", func(*Config, *provider.Request) {}, nil},
		{"a path too long for sockets", "/" + strings.Repeat("d", 100), func(*Config, *provider.Request) {}, []string{"fatal: the path of the directory of machines, /" + strings.Repeat("d", 100) + ", is too long"}},
		{"a file", file, func(*Config, *provider.Request) {}, []string{"fatal: machines cannot be kept in " + file}},
		{"too much of everything", "", func(_ *Config, r *provider.Request) {
			r.Machines = []provider.Machine{huge}
		}, []string{"fatal: machine control-0.mycluster.lab.test is to have 1048576.0 GiB of memory", "warn: machines are to have 1048576.0 GiB of memory", "warn: disks may grow to 1048576.0 GiB"}},
		{"much memory that is limited", "", func(c *Config, r *provider.Request) {
			c.Limits.Memory = 64
			r.Machines = []provider.Machine{huge}
		}, []string{"warn: disks may grow to 1048576.0 GiB"}},
		{"an image without room", "", func(_ *Config, r *provider.Request) { r.ImageBytes = 1 << 60 }, []string{"fatal: the boot image has "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.dir
			if dir == "" {
				dir = filepath.Join(directoryOf(t), "q")
			}
			cfg, want := Config{Dir: dir, Accel: qemu.TCG, Network: networkUser}, provider.Request{Machines: []provider.Machine{asked(0)}}
			c.change(&cfg, &want)
			p, err := Open(cfg, Options{})
			if err != nil {
				t.Fatal(err)
			}
			sameProblems(t, c.want, p.Check(within(t), want))
		})
	}
}

// sameProblems compares the beginnings of what is said.
func sameProblems(t *testing.T, want []string, got []provider.Problem) {
	t.Helper()
	var said []string
	for _, p := range got {
		kind := "warn: "
		if p.Fatal {
			kind = "fatal: "
		}
		said = append(said, kind+p.What)
		if p.Hint == "" {
			t.Errorf("%s: nothing is advised", p.What)
		}
	}
	if !slices.EqualFunc(want, said, func(w, s string) bool { return strings.HasPrefix(s, w) }) {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

func TestCheckTellsOfEmulationAndFirmware(t *testing.T) {
	needQEMU(t)
	p, err := Open(Config{Dir: filepath.Join(directoryOf(t), "q"), Network: networkUser}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.accel = func() (qemu.Accel, string, error) { return qemu.TCG, "kvm: a guest said nothing for 2s", nil }
	sameProblems(t, []string{"warn: KVM does not work here, machines are emulated: kvm: a guest said nothing for 2s"}, p.Check(within(t), provider.Request{}))
	p.accel, p.cfg.Accel, p.cfg.UEFI = choose(qemu.TCG), qemu.TCG, true
	p.firmware = func() (string, string, error) { return "", "", qemu.ErrNoFirmware }
	sameProblems(t, []string{"fatal: no UEFI firmware for x86_64 is installed"}, p.Check(within(t), provider.Request{}))
}

func TestCheckWithoutQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	sameProblems(t, []string{"fatal: qemu-system-x86_64 is not installed"}, opened(t, t.TempDir()).Check(within(t), provider.Request{}))
}
