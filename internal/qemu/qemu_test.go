package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/internal/testbed"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func machine(dir string) VM {
	return VM{
		Name: "control-0.mycluster.lab.test", UUID: uuid.MustParse("0f8fad5b-d9cb-569f-a165-70867728950e"),
		Mark: "slipway-mark-v1 cluster=mycluster.lab.test id=c1,2 name=control-0", CPUs: 2, Memory: 192, Accel: TCG, Dir: dir,
		Disks: []Disk{{Path: dir + "/disk0.qcow2", Format: "qcow2"}, {Path: dir + "/disk1.raw", Format: "raw", Volatile: true}},
		Media: dir + "/slipway.iso",
		NICs:  []NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Tap: "tap0", MTU: 1400}, {MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}},
	}
}

func TestArgs(t *testing.T) {
	uefi := machine("/run/vm")
	uefi.Firmware = Firmware{Code: "/usr/share/OVMF/OVMF_CODE_4M.fd", Vars: "/run/vm/vars.fd"}
	uefi.Accel, uefi.Media = KVM, ""
	for name, v := range map[string]VM{"bios": machine("/run/vm"), "uefi": uefi} {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(strings.Join(v.Args(), "\n"), "\n-", "\n\n-") + "\n"
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

// The guest of the probe speaks under TCG, so its silence under KVM means KVM.
func TestProbeGuestSpeaks(t *testing.T) {
	testbed.Program(t, Program)
	if err := boots(t.Context(), TCG, 30*time.Second); err != nil {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	testbed.Program(t, Program)
	accel, why, err := Probe(t.Context())
	if err != nil || accel != KVM && accel != TCG || (accel == TCG) != (why != "") {
		t.Errorf("%s because %q, %v", accel, why, err)
	}
}

func TestFindUEFI(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	describe := func(dir, name, file string, features ...string) {
		t.Helper()
		d := map[string]any{
			"interface-types": []string{"uefi"}, "features": features,
			"mapping": map[string]any{"device": "flash", "executable": map[string]string{"filename": file, "format": "raw"},
				"nvram-template": map[string]string{"filename": file + ".vars", "format": "raw"}},
			"targets": []any{map[string]any{"architecture": "x86_64", "machines": []string{"pc-i440fx-*", "pc-q35-*"}}},
		}
		text, err := json.Marshal(d)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := FindUEFI(first, second, filepath.Join(first, "absent")); !errors.Is(err, ErrNoFirmware) {
		t.Errorf("nothing installed: %v", err)
	}
	describe(second, "40-secure.json", "secure", "requires-smm", "secure-boot", "enrolled-keys")
	describe(second, "50-hidden.json", "hidden")
	describe(second, "60-plain.json", "plain")
	describe(first, "50-hidden.json", "hides", "enrolled-keys")
	code, template, err := FindUEFI(first, second)
	if err != nil || code != "plain" || template != "plain.vars" {
		t.Errorf("found %s, %s, %v", code, template, err)
	}
	if err := os.WriteFile(filepath.Join(first, "10-broken.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := FindUEFI(first, second); err == nil || !strings.Contains(err.Error(), "10-broken.json") {
		t.Errorf("a broken descriptor: %v", err)
	}
}

// run starts v and returns its monitor; it ends with the test.
func run(t *testing.T, v VM) (*Monitor, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(Program, v.Args()...)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		m, err := Connect(ctx, v)
		if err == nil {
			return m, cmd
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A real machine is looked at, given a medium, relieved of it and ended.
func TestMonitorOfRealMachine(t *testing.T) {
	testbed.Program(t, Program)
	dir := t.TempDir()
	v := machine(dir)
	v.Memory, v.CPUs, v.Media, v.NICs = 32, 1, "", nil
	for i := range v.Disks {
		v.Disks[i].Format = "raw"
		if err := os.WriteFile(v.Disks[i].Path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "slipway.iso")
	if err := os.WriteFile(image, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	m, cmd := run(t, v)
	defer m.Close()
	if status, err := m.Status(t.Context()); err != nil || status != "running" {
		t.Errorf("status %q, %v", status, err)
	}
	var drives []struct {
		Device   string
		Inserted *struct{ Image struct{ Filename string } }
	}
	tray := func() string {
		t.Helper()
		drives = nil
		if err := m.Do(t.Context(), "query-block", nil, &drives); err != nil {
			t.Fatal(err)
		}
		for _, d := range drives {
			if d.Inserted != nil && d.Inserted.Image.Filename == image {
				return image
			}
		}
		return ""
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
		want string
	}{
		{"eject the empty tray", m.Eject, ""},
		{"insert", func(ctx context.Context) error { return m.Insert(ctx, image) }, image},
		{"insert again", func(ctx context.Context) error { return m.Insert(ctx, image) }, image},
		{"eject", m.Eject, ""},
		{"eject again", m.Eject, ""},
	} {
		if err := step.do(t.Context()); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		if got := tray(); got != step.want {
			t.Errorf("%s: the tray holds %q, want %q", step.what, got, step.want)
		}
	}
	if err := m.Do(t.Context(), "no-such-command", nil, nil); err == nil || !strings.Contains(err.Error(), "no-such-command") {
		t.Errorf("an unknown command: %v", err)
	}
	if err := m.Quit(t.Context()); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	var shutdown bool
	for e := range m.Events() {
		shutdown = shutdown || e.Name == "SHUTDOWN"
	}
	if !shutdown {
		t.Error("the end was not told")
	}
}
