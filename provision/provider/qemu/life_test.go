package qemu

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/rehearsal/image"
)

// What a guest of one sector does when it has written its line.
var (
	halts     = []byte{0xf4, 0xeb, 0xfd}                               // hlt; again
	reboots   = []byte{0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4}       // 6 to port 0xcf9
	powersOff = []byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4} // 0x2000 to port 0x604: S5
	line      = "guest\n"
	mark      = provider.Mark{Cluster: "mycluster.lab.test", ID: "0f8fad5b"}
)

// sector is real mode code that writes line to COM1 and then does what it ends
// with.
func sector(end []byte) []byte {
	code := append([]byte{
		0xfa, 0x31, 0xc0, 0x8e, 0xd8, // cli; ds = 0
		0xbe, byte(20 + len(end)), 0x7c, 0xfc, // si = text; cld
		0xac, 0x84, 0xc0, 0x74, 0x06, // next: a byte, or done
		0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, // to COM1; next
	}, end...)
	s := make([]byte, 512)
	copy(s[copy(s, code):], line)
	s[510], s[511] = 0x55, 0xaa
	return s
}

func asked(i int) provider.Machine {
	node := fmt.Sprintf("control-%d", i)
	name := node + "." + mark.Cluster
	return provider.Machine{
		Node: node, Name: name, Mark: mark, UUID: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)),
		NICs: []provider.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}, Bridge: "br0"}}, CPUs: 1, Memory: 32, Disk: 1,
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// made is a machine on disk whose guest ends like that.
func made(t *testing.T, p *Provider, i int, end []byte) provider.Machine {
	t.Helper()
	m, err := p.Allocate(within(t), asked(i), nil)
	if err == nil {
		m, err = p.Ensure(within(t), m)
	}
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.OpenFile(diskPath(p.machineDir(m.ID), 0), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if _, err := disk.Write(sector(end)); err != nil {
		t.Fatal(err)
	}
	return m
}

func powered(t *testing.T, p *Provider, m provider.Machine) {
	t.Helper()
	if err := p.PowerOn(within(t), m); err != nil {
		t.Fatal(err)
	}
}

// supervised runs a supervisor inside of this process, an impatient one.
func supervised(t *testing.T, p *Provider, silence time.Duration) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Supervise(ctx, SuperviseOptions{Dir: p.dir, Owner: mark.Cluster, Log: t.Output(), Every: 200 * time.Millisecond, Silence: silence})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	until(t, "the supervisor answers", func() bool { st, err := p.status(within(t), mark.Cluster); return err == nil && st.PID != 0 })
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func guestOf(t *testing.T, p *Provider, m provider.Machine) Guest {
	t.Helper()
	st, err := p.status(within(t), m.Mark.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	return st.Guests[m.ID]
}

func console(t *testing.T, p *Provider, m provider.Machine) string {
	t.Helper()
	r, err := p.Console(within(t), m)
	if err != nil {
		return ""
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func onlyFound(t *testing.T, p *Provider) provider.Machine {
	t.Helper()
	found, err := p.Find(within(t), mark)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	return found[0]
}

func TestWhatRebootsIsStartedAgain(t *testing.T) {
	needQEMU(t)
	p := opened(t, directoryOf(t))
	supervised(t, p, 0)
	m := made(t, p, 0, reboots)
	powered(t, p, m)
	until(t, "three boots", func() bool { return strings.Count(console(t, p, m), line) >= 3 })
	if got := onlyFound(t, p); got.Power != provider.PowerOn || got.Adrift != nil {
		t.Errorf("power %q, %q", got.Power, got.Adrift)
	}
	if err := p.PowerOff(within(t), m); err != nil {
		t.Fatal(err)
	}
	if got := onlyFound(t, p).Power; got != provider.PowerOff {
		t.Errorf("power %q", got)
	}
}

func TestEndsOfMachines(t *testing.T) {
	needQEMU(t)
	for _, c := range []struct {
		name string
		end  []byte
		act  func(Guest)
		want string
	}{
		{"it switches itself off", powersOff, func(Guest) {}, "it switched itself off"},
		{"somebody kills it", halts, func(g Guest) { _ = syscall.Kill(g.PID, syscall.SIGKILL) }, "it ended: signal: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := opened(t, directoryOf(t))
			supervised(t, p, 0)
			m := made(t, p, 0, c.end)
			powered(t, p, m)
			until(t, "the guest runs", func() bool { return strings.Contains(console(t, p, m), line) })
			c.act(guestOf(t, p, m))
			until(t, "it is off", func() bool { return !guestOf(t, p, m).On })
			got := onlyFound(t, p)
			if got.Power != provider.PowerOff || !slices.Equal(got.Adrift, []string{c.want}) {
				t.Errorf("power %q, %q, want off and %q", got.Power, got.Adrift, c.want)
			}
		})
	}
}

func TestWhatHangsIsPowerCycledOnce(t *testing.T) {
	needQEMU(t)
	p := opened(t, directoryOf(t))
	supervised(t, p, 2*time.Second)
	m := made(t, p, 0, halts)
	powered(t, p, m)
	before := guestOf(t, p, m)
	stop(t, before)
	until(t, "it is started again", func() bool { g := guestOf(t, p, m); return g.PID != 0 && g.PID != before.PID })
	after := guestOf(t, p, m)
	if !strings.HasPrefix(after.Note, "it hung at ") || !strings.HasSuffix(after.Note, " and was power-cycled") {
		t.Errorf("note %q", after.Note)
	}
	if left, err := p.Repair(within(t), m); err != nil || left != nil || onlyFound(t, p).Adrift != nil {
		t.Errorf("repaired: %v, %q is left, and it is said again: %q", err, left, onlyFound(t, p).Adrift)
	}
	stop(t, after)
	until(t, "it is off", func() bool { return !guestOf(t, p, m).On })
	if got := onlyFound(t, p).Adrift; len(got) != 1 || !strings.HasPrefix(got[0], "it hung again at ") {
		t.Errorf("notes %q", got)
	}
	if left := processes(t, m.ID); len(left) != 0 {
		t.Errorf("processes %v are left", left)
	}
}

func stop(t *testing.T, g Guest) {
	t.Helper()
	if err := syscall.Kill(g.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// The supervisor is another process here, as it is for slipway.
func TestMachinesOutliveTheRunButNotTheirSupervisor(t *testing.T) {
	needQEMU(t)
	dir := directoryOf(t)
	p := opened(t, dir)
	m := made(t, p, 0, halts)
	powered(t, p, m)
	before := guestOf(t, p, m)

	p = opened(t, dir)
	powered(t, p, m)
	if after := guestOf(t, p, m); after.PID != before.PID {
		t.Errorf("another run started it anew: process %d, before %d", after.PID, before.PID)
	}

	keeper, err := p.supervisor(mark.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(keeper.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "its machines end with it", func() bool { return len(processes(t, m.ID)) == 0 })
	if got := onlyFound(t, p).Power; got != provider.PowerOff {
		t.Errorf("power %q without a supervisor", got)
	}
	if err := p.PowerOff(within(t), m); err != nil {
		t.Errorf("power off without a supervisor: %v", err)
	}
	powered(t, p, m)
	if got := onlyFound(t, p).Power; got != provider.PowerOn {
		t.Errorf("power %q after the next start", got)
	}
}

func TestNothingIsLeft(t *testing.T) {
	needQEMU(t)
	for _, c := range []struct {
		name   string
		before func(*testing.T, *Provider)
	}{
		{"of a good run", func(*testing.T, *Provider) {}},
		{"of a killed supervisor", func(t *testing.T, p *Provider) { endKeeper(t, p, syscall.SIGKILL) }},
		{"of half made things", func(t *testing.T, p *Provider) {
			for _, left := range []string{p.images() + "/.slipway.iso.1", p.machines() + "/.new/machine.json"} {
				if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(left, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := opened(t, filepath.Join(directoryOf(t), "q"))
			first, second := made(t, p, 0, halts), made(t, p, 1, halts)
			powered(t, p, first)
			private(t, p.dir)
			c.before(t, p)
			for _, m := range []provider.Machine{first, second, second} {
				if err := p.Release(within(t), m); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
				_ = filepath.WalkDir(p.dir, func(path string, _ fs.DirEntry, _ error) error { t.Error(path, "is left"); return nil })
			}
			if left := runs(t, p.dir); len(left) != 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

func endKeeper(t *testing.T, p *Provider, s syscall.Signal) {
	t.Helper()
	keeper, err := p.supervisor(mark.Cluster)
	if err == nil {
		err = syscall.Kill(keeper.PID, s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// private asserts that nobody else may read what is below dir.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A machine waits for its turn to boot, and may be switched off meanwhile.
func TestMachinesBootInTurns(t *testing.T) {
	needQEMU(t)
	p := opened(t, directoryOf(t))
	m := made(t, p, 0, halts)
	ctx, cancel := context.WithCancel(t.Context())
	s := newSupervisor(ctx, cancel, SuperviseOptions{Dir: p.dir, Owner: mark.Cluster, Starts: 1})
	s.slots <- struct{}{} // another one boots
	began := make(chan error, 1)
	go func() { began <- s.on(ctx, order{ID: m.ID, Accel: qemu.TCG}) }()
	until(t, "it waits", func() bool { return s.status().Guests[m.ID].On })
	if err := s.off(ctx, order{ID: m.ID}); err != nil {
		t.Error(err)
	}
	if err := <-began; err == nil {
		t.Error("it has started although it was switched off")
	}
	go func() { began <- s.on(ctx, order{ID: m.ID, Accel: qemu.TCG}) }()
	until(t, "it waits again", func() bool { return s.status().Guests[m.ID].On })
	if g := s.status().Guests[m.ID]; g.PID != 0 {
		t.Errorf("it runs, as process %d, out of turn", g.PID)
	}
	<-s.slots
	if err := <-began; err != nil {
		t.Error(err)
	}
	until(t, "its turn ends when it idles", func() bool { return len(s.slots) == 0 })
	cancel()
	s.end()
}

func TestOneSupervisorOnly(t *testing.T) {
	p := opened(t, directoryOf(t))
	if err := os.MkdirAll(p.machines(), 0o700); err != nil {
		t.Fatal(err)
	}
	supervised(t, p, 0)
	err := Supervise(within(t), SuperviseOptions{Dir: p.dir, Owner: mark.Cluster})
	if err == nil || !strings.HasPrefix(err.Error(), "machines of mycluster.lab.test have a supervisor already") {
		t.Errorf("the second: %v", err)
	}
}

// The number in a pid file may be another process's by now.
func TestAPidFileIsNotBelieved(t *testing.T) {
	p := opened(t, directoryOf(t))
	self, err := process.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(self) // two plain fields
	if err := os.MkdirAll(p.runDir(mark.Cluster), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.runDir(mark.Cluster), pidFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.dismiss(within(t), mark.Cluster); err != nil {
		t.Error(err)
	}
}

func TestUEFIMachinesHaveVariablesOfTheirOwn(t *testing.T) {
	needQEMU(t)
	f, err := image.UEFI(t.Context(), testbed.Cache(t))
	if err != nil {
		testbed.Missing(t, "firmware: %v", err)
	}
	p := opened(t, directoryOf(t))
	p.cfg.UEFI = true
	p.firmware = func() (string, string, error) { return f.Code, f.Vars, nil }
	m := made(t, p, 0, halts)
	powered(t, p, m)
	until(t, "the firmware has written its variables", func() bool { return !equalFiles(t, f.Vars, p.machineDir(m.ID)+"/vars.fd") })
	private(t, p.dir)
	if err := p.Release(within(t), m); err != nil {
		t.Error(err)
	}
}

func equalFiles(t *testing.T, a, b string) bool {
	t.Helper()
	first, err := os.ReadFile(a)
	second, more := os.ReadFile(b)
	if err != nil || more != nil {
		t.Fatal(err, more)
	}
	return string(first) == string(second)
}
