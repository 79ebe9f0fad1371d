package qemu

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/testbed"
)

// idle is a machine without anything to boot.
func idle(t *testing.T) VM {
	t.Helper()
	v := machine(t.TempDir())
	v.Memory, v.CPUs, v.Media, v.NICs, v.Disks = 32, 1, "", nil, nil
	return v
}

func TestEndsAreTold(t *testing.T) {
	testbed.Program(t, Program)
	for _, c := range []struct {
		name string
		end  func(*Running) error
		want Reason
		err  string
	}{
		{"quit", func(r *Running) error { return r.Quit(t.Context()) }, HostQuit, ""},
		{"SIGTERM", func(r *Running) error { return syscall.Kill(r.PID, syscall.SIGTERM) }, HostSignal, ""},
		{"SIGKILL", func(r *Running) error { r.Kill(); return nil }, Died, "signal: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := idle(t)
			r, err := Start(t.Context(), v)
			if err != nil {
				t.Fatal(err)
			}
			if found, err := v.Processes(); err != nil || len(found) != 1 || found[0].PID != r.PID {
				t.Errorf("processes %v, %v, want %d", found, err, r.PID)
			}
			if err := c.end(r); err != nil {
				t.Error(err)
			}
			select {
			case <-r.Ended():
			case <-time.After(30 * time.Second):
				t.Fatal("it has not ended")
			}
			if got := r.End(); got.Reason != c.want || got.Err == nil != (c.err == "") || got.Err != nil && got.Err.Error() != c.err {
				t.Errorf("ended by %q, %v", got.Reason, got.Err)
			}
		})
	}
}

func TestStartSaysWhatQEMUSays(t *testing.T) {
	testbed.Program(t, Program)
	v := idle(t)
	v.Disks = []Disk{{Path: filepath.Join(v.Dir, "gone.raw"), Format: "raw"}}
	if _, err := Start(t.Context(), v); err == nil || !strings.HasPrefix(err.Error(), "start "+v.Name+": qemu-system-x86_64: ") || !strings.HasSuffix(err.Error(), "gone.raw': No such file or directory") {
		t.Error(err)
	}
}

func TestTapsByDescriptor(t *testing.T) {
	v := VM{NICs: []NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Tap: "tap0", FD: 3}}}
	if args := v.Args(); !slices.Contains(args, "tap,id=net0,fd=3") {
		t.Errorf("arguments %q", args)
	}
}

func TestUserNet(t *testing.T) {
	u := UserNet{
		Name: "uplink of a,b", Net: netip.MustParsePrefix("10.0.2.0/24"), Host: netip.MustParseAddr("10.0.2.2"), DNS: netip.MustParseAddr("10.0.2.3"),
		Forwards: []Forward{{Host: netip.MustParseAddrPort("127.77.1.1:8443"), Guest: netip.MustParseAddrPort("192.0.2.2:443")}},
	}
	want := []string{
		"-name", "uplink of a,,b", "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio",
		"-netdev", "user,id=user,ipv6=off,net=10.0.2.0/24,host=10.0.2.2,dns=10.0.2.3,hostfwd=tcp:127.77.1.1:8443-192.0.2.2:443",
		"-netdev", "tap,id=tap,fd=3",
		"-netdev", "hubport,id=inside,hubid=0,netdev=tap", "-netdev", "hubport,id=outside,hubid=0,netdev=user",
	}
	if diff := cmp.Diff(want, u.Args()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	testbed.Program(t, Program)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := StartUplink(t.Context(), u, null); err == nil || !strings.HasPrefix(err.Error(), "qemu-system-x86_64: ") {
		t.Errorf("with what is no tap: %v", err)
	}
}
