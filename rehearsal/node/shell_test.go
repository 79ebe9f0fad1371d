package node

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func testSystem(t testing.TB) *system {
	nic := NIC{Name: "enp6s18", MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}}
	h := New(Hardware{UUID: uuid.MustParse("8e7a1ab0-2d3c-5c3e-9b43-0d5c9a3f0001"), NICs: []NIC{nic}, CPUs: 4, Memory: 8192, Disk: &Disk{}}, NewSite())
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s := h.newSystem(ctx, true, "0123456789abcdef0123456789abcdef")
	s.net = &network{ports: []port{{nic, netInterface{addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.201/24")}, gateway: netip.MustParseAddr("192.0.2.1")}}},
		resolver: resolver{servers: []netip.Addr{netip.MustParseAddr("192.0.2.210")}, search: []string{"lab.test"}}}
	s.setName("control-0.mycluster.lab.test")
	return s
}

func TestShell(t *testing.T) {
	s := testSystem(t)
	s.setUnit("chronyd", "failed", "Could not open the clock")
	s.log("agent", "one")
	s.log("agent", "two")
	tests := []struct {
		name, script, want string
		status             uint8
	}{
		{"boot id", "cat /proc/sys/kernel/random/boot_id", s.bootID + "\n", 0},
		{"files", "cat /etc/hostname /etc/machine-id", "control-0.mycluster.lab.test\n0123456789abcdef0123456789abcdef\n", 0},
		{"relative path", "cat etc/hostname", "control-0.mycluster.lab.test\n", 0},
		{"redirection", "read -r a < /etc/hostname; echo $a", "control-0.mycluster.lab.test\n", 0},
		{"missing file", "cat /etc/shadow 2>&1", "cat: /etc/shadow: No such file or directory\n", 1},
		{"directory", "cat /etc 2>&1", "cat: /etc: Is a directory\n", 1},
		{"live", "test -e /run/ostree-live && [ ! -e /run/ostree-booted ] && echo live", "live\n", 0},
		{"readable", "[[ -r /etc/os-release && ! -w /etc/os-release ]] && [ -d /etc ] && echo yes", "yes\n", 0},
		{"glob", "echo /etc/os*", "/etc/os-release\n", 0},
		{"resolver", "cat /etc/resolv.conf", "search lab.test\nnameserver 192.0.2.210\n", 0},
		{"release", `. /etc/os-release 2>&1 || eval x 2>&1`, "bash: .: command not found\nbash: eval: command not found\n", 127},
		{"short name", "hostname -s", "control-0\n", 0},
		{"kernel", "uname -sn 2>/dev/null || uname -m", "x86_64\n", 0},
		{"active", "systemctl is-active sshd", "active\n", 0},
		{"inactive", "systemctl is-active kubelet", "inactive\n", 3},
		{"unknown unit", "systemctl is-active nope", "inactive\n", 3},
		{"quiet", "systemctl is-active --quiet sshd && echo up", "up\n", 0},
		{"show", "systemctl show -p ActiveState,Result chronyd", "ActiveState=failed\nResult=exit-code\n", 0},
		{"show values", "systemctl show -P LoadState nope", "not-found\n", 0},
		{"failed units", "systemctl --failed --no-legend --plain", "chronyd.service loaded failed failed chronyd\n", 0},
		{"clock", "timedatectl show -p NTPSynchronized", "NTPSynchronized=yes\n", 0},
		{"journal", "journalctl -u agent -n 1 --no-pager | { read -r m d t h rest; echo $rest; }", "agent: two\n", 0},
		{"no journal", "sudo journalctl -u nope", "-- No entries --\n", 0},
		{"addresses", "ip -j addr", `[{"ifindex":1,"ifname":"lo","mtu":65536,"operstate":"UNKNOWN","address":"00:00:00:00:00:00","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host"}]},` +
			`{"ifindex":2,"ifname":"enp6s18","mtu":1500,"operstate":"UP","address":"52:54:00:00:00:01","addr_info":[{"family":"inet","local":"192.0.2.201","prefixlen":24,"scope":"global"}]}]` + "\n", 0},
		{"true and false", "true && false", "", 1},
		{"exit status", "exit 7", "", 7},
		{"unknown command", "kubectl version 2>&1", "bash: kubectl: command not found\n", 127},
		{"syntax error", "if", "", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out, errOut strings.Builder
			status := s.shell(t.Context(), test.script, &out, &errOut)
			if out.String() != test.want || status != test.status {
				t.Errorf("printed %q (%q), status %d; want %q, status %d", out.String(), errOut.String(), status, test.want, test.status)
			}
		})
	}
}

// Nothing of the machine that runs the simulation can be seen or changed.
func TestShellCannotLeaveTheSimulation(t *testing.T) {
	dir := t.TempDir()
	secret, made := filepath.Join(dir, "secret"), filepath.Join(dir, "made")
	if err := os.WriteFile(secret, []byte("of this machine"), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REHEARSAL_SECRET", "of this machine")
	s := testSystem(t)
	for _, script := range []string{
		"cat " + secret, "echo $(<" + secret + ")", "read -r x < " + secret + "; echo $x", ". " + secret, "source " + secret, "exec " + secret,
		"command cat " + secret, "builtin source " + secret, "/bin/cat " + secret, "env", "printenv", "echo $REHEARSAL_SECRET",
		"test -e " + secret + " && echo found", "test -r " + secret + " && echo found", "[ -x " + secret + " ] && echo found", "[[ -w " + secret + " ]] && echo found",
		"[[ -O " + secret + " ]] && echo found", "[ -s " + secret + " ] && echo found", "type " + secret, "echo " + dir + "/s*t", "cd " + dir + " && echo found",
		"echo x > " + made, "echo x >> " + made, "cat <(echo found)", "echo x | tee " + made, "touch " + made, "echo ~root", "eval 'test -r " + secret + " && echo found'",
		"trap 'cat " + secret + "' EXIT", "mapfile a < " + secret + "; echo ${a[0]}", "pushd " + dir, "f() { echo found; }; f", "PATH=/bin sh -c 'echo found'",
	} {
		var out strings.Builder
		s.shell(t.Context(), script, &out, &out)
		text := strings.ReplaceAll(out.String(), secret, "") // named in complaints
		if strings.Contains(text, "of this machine") || strings.Contains(text, "found\n") && !strings.Contains(text, "not found\n") || strings.Contains(text, "/root") {
			t.Errorf("%s: %s", script, out.String())
		}
	}
	if _, err := os.Stat(made); err == nil {
		t.Error("a script made a file")
	}
}

func TestShellEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var out strings.Builder
	testSystem(t).shell(ctx, "while true; do true; done", &out, &out)
	if ctx.Err() == nil {
		t.Error("an endless loop ended by itself")
	}
}

func FuzzShell(f *testing.F) {
	for _, script := range []string{"echo $((1/0))", "cat < /etc/hostname | read x", "test -r a -o -w b", "case x in x) echo;; esac", "${x:?}", "cat <&/etc/hostname", "*ʀ", `echo $(printf '*\312\200')`} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var out strings.Builder
		testSystem(t).shell(ctx, script, &out, &out)
	})
}
