package install

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/services"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const owner = "mycluster.lab.test"

// A fake host has programs and a file system; its commands are written down
// and answered from a table.
type fake struct {
	Host
	t       *testing.T
	answers map[string]string // by command line; a value of "!" fails
	ran     []string
}

func newFake(t *testing.T, release string, programs ...string) *fake {
	t.Helper()
	f := &fake{t: t, answers: map[string]string{}}
	f.Root = t.TempDir()
	f.Run = f.run
	f.put("/etc/os-release", release, 0o644)
	for _, p := range append(programs, "systemctl") {
		f.put("/usr/sbin/"+p, "", 0o755)
	}
	f.put("/src/slipway", "program 1", 0o755)
	return f
}

func (f *fake) put(path, text string, mode fs.FileMode) {
	f.t.Helper()
	path = filepath.Join(f.Root, path)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), mode)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) run(_ context.Context, name string, args ...string) (string, error) {
	line := strings.Join(append([]string{name}, args...), " ")
	f.ran = append(f.ran, line)
	if f.answers[line] == "!" {
		return "", fmt.Errorf("%s: exit status 1", line)
	}
	return f.answers[line], nil
}

// took returns the commands since the last time.
func (f *fake) took() []string {
	ran := f.ran
	f.ran = nil
	return ran
}

// left lists the files that are not part of the bare system.
func (f *fake) left() (files []string) {
	_ = filepath.WalkDir(f.Root, func(path string, d fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(path, f.Root)
		if err == nil && !d.IsDir() && !strings.HasPrefix(rel, "/usr/sbin/") && !strings.HasPrefix(rel, "/src/") && rel != "/etc/os-release" {
			files = append(files, rel)
		}
		return err
	})
	return files
}

func (f *fake) options() Options {
	at := netip.MustParseAddr("192.0.2.210")
	return Options{Owner: owner, Program: filepath.Join(f.Root, "/src/slipway"), Document: services.Build(services.View{
		Name: "mycluster", Domain: "lab.test", Services: at, Network: netip.MustParsePrefix("192.0.2.0/24"), Serial: 1})}
}

func (f *fake) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%v (%s)", err, hint.Of(err))
	}
}

func check(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const (
	debian12 = "ID=debian\nVERSION_ID=\"12\"\n"
	centos9  = "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\n"
)

var (
	name  = LayoutOf(owner).Unit()
	begin = []string{"systemctl daemon-reload", "systemctl enable --quiet " + name, "systemctl restart " + name}
)

func TestDebian(t *testing.T) {
	f := newFake(t, debian12)
	f.answers["apt-get install --simulate --no-install-recommends haproxy"] = "Inst liblua5.3-0 (5.3)\nInst haproxy (2.6)\nConf haproxy (2.6)\n"
	f.must(f.Install(t.Context(), f.options()))
	check(t, "commands", append([]string{
		"systemctl mask haproxy.service", "apt-get update -q",
		"apt-get install --simulate --no-install-recommends haproxy",
		"apt-get install -q --yes --no-install-recommends haproxy",
	}, begin...), f.took())
	l := LayoutOf(owner)
	check(t, "files", []string{l.manifest(), l.Document(), l.unitFile(), l.Program()}, f.left())

	f.put("/usr/sbin/haproxy", "", 0o755)
	f.must(f.Install(t.Context(), f.options()))
	check(t, "the second time", []string{begin[0], begin[1], "systemctl start " + name}, f.took())

	f.put("/src/slipway", "program 2", 0o755)
	f.must(f.Install(t.Context(), f.options()))
	check(t, "an upgrade", begin, f.took())

	f.must(f.Uninstall(t.Context(), owner))
	check(t, "removal", []string{
		"systemctl disable --now --quiet " + name, "apt-get purge -q --yes liblua5.3-0 haproxy", "systemctl unmask haproxy.service", "systemctl daemon-reload",
	}, f.took())
	check(t, "files left", nil, f.left())
	f.must(f.Uninstall(t.Context(), owner))
	check(t, "a second removal", nil, f.took())
}

func TestRedHat(t *testing.T) {
	f := newFake(t, centos9, "getenforce", "firewall-cmd")
	f.answers["getenforce"] = "Enforcing\n"
	f.answers["getsebool haproxy_connect_any"] = "haproxy_connect_any --> off\n"
	f.answers["firewall-cmd --state"] = "running\n"
	for _, p := range []string{"53/udp", "53/tcp", "6443/tcp", "443/tcp", "80/tcp"} { // 22623 is open already
		f.answers["firewall-cmd --permanent --query-port="+p] = "!"
	}
	f.must(f.Install(t.Context(), f.options()))
	want := []string{
		"systemctl mask haproxy.service", "dnf install --assumeyes --setopt=install_weak_deps=False haproxy",
		"getenforce", "restorecon -R /usr/local/libexec/slipway /etc/slipway " + LayoutOf(owner).unitFile(),
		"getsebool haproxy_connect_any", "setsebool -P haproxy_connect_any on", "firewall-cmd --state",
	}
	for _, p := range []string{"53/udp", "53/tcp", "6443/tcp", "22623/tcp", "443/tcp", "80/tcp"} {
		want = append(want, "firewall-cmd --permanent --query-port="+p)
		if p != "22623/tcp" {
			want = append(want, "firewall-cmd --permanent --add-port="+p)
		}
	}
	check(t, "commands", append(append(want, "firewall-cmd --reload"), begin...), f.took())

	f.must(f.Uninstall(t.Context(), owner))
	check(t, "removal", []string{
		"systemctl disable --now --quiet " + name,
		"firewall-cmd --permanent --remove-port=53/udp", "firewall-cmd --permanent --remove-port=53/tcp", "firewall-cmd --permanent --remove-port=6443/tcp",
		"firewall-cmd --permanent --remove-port=443/tcp", "firewall-cmd --permanent --remove-port=80/tcp", "firewall-cmd --reload",
		"setsebool -P haproxy_connect_any off", "dnf remove --assumeyes haproxy", "systemctl unmask haproxy.service", "systemctl daemon-reload",
	}, f.took())
	check(t, "files left", nil, f.left())
}

func TestUFW(t *testing.T) {
	f := newFake(t, debian12, "haproxy", "ufw")
	f.answers["ufw status"] = "Status: active\n"
	f.must(f.Install(t.Context(), f.options()))
	ran := f.took()
	check(t, "first rules", []string{"ufw status", "ufw allow proto udp to 192.0.2.210 port 53 comment slipway"}, ran[:2])
	f.must(f.Install(t.Context(), f.options()))
	check(t, "the second time", []string{"ufw status", begin[0], begin[1], "systemctl start " + name}, f.took())
	f.must(f.Uninstall(t.Context(), owner))
	check(t, "first removals", []string{"ufw delete allow proto udp to 192.0.2.210 port 53"}, f.took()[1:2])
}

// Rules of others are not edited: what is missing is said, line by line.
func TestNftablesIsLeftAlone(t *testing.T) {
	f := newFake(t, debian12, "haproxy", "nft")
	f.answers["nft -j list chains"] = `{"nftables":[{"metainfo":{}},{"chain":{"family":"inet","table":"filter","name":"input","hook":"input","policy":"drop"}}]}`
	err := f.Install(t.Context(), f.options())
	want := "install the services of mycluster.lab.test: the firewall's chain inet filter input drops what it does not accept"
	if err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	wantHint := "accept its ports, there and where your ruleset is kept: nft insert rule inet filter input udp dport { 53 } accept; " +
		"nft insert rule inet filter input tcp dport { 53, 6443, 22623, 443, 80 } accept; or begin with --no-firewall"
	if got := hint.Of(err); got != wantHint {
		t.Errorf("hint %q", got)
	}
	f.took()
	o := f.options()
	o.NoFirewall = true
	f.must(f.Install(t.Context(), o))
	check(t, "without the firewall", begin, f.took())
	f.answers["nft -j list chains"] = `{"nftables":[{"chain":{"family":"inet","table":"filter","name":"input","hook":"input","policy":"accept"}}]}`
	f.must(f.Install(t.Context(), f.options()))
}

// What two clusters need stays until the second goes.
func TestTwoClustersOnOneHost(t *testing.T) {
	f := newFake(t, debian12)
	f.answers["apt-get install --simulate --no-install-recommends haproxy"] = "Inst haproxy (2.6)\n"
	f.must(f.Install(t.Context(), f.options()))
	f.put("/usr/sbin/haproxy", "", 0o755)
	other := f.options()
	other.Owner = "other.lab.test"
	f.must(f.Install(t.Context(), other))
	f.took()
	f.must(f.Uninstall(t.Context(), owner))
	check(t, "the first removal", []string{"systemctl disable --now --quiet " + name, "systemctl daemon-reload"}, f.took())
	f.must(f.Uninstall(t.Context(), "other.lab.test"))
	check(t, "the second removal", []string{
		"systemctl disable --now --quiet " + LayoutOf("other.lab.test").Unit(), "apt-get purge -q --yes haproxy", "systemctl unmask haproxy.service", "systemctl daemon-reload",
	}, f.took())
	check(t, "files left", nil, f.left())
}

// An installation that fails half way knows what it changed.
func TestFailureIsUndone(t *testing.T) {
	f := newFake(t, debian12)
	f.answers["apt-get install --simulate --no-install-recommends haproxy"] = "Inst haproxy (2.6)\n"
	f.answers["apt-get install -q --yes --no-install-recommends haproxy"] = "!"
	if err := f.Install(t.Context(), f.options()); err == nil {
		t.Fatal("the failure is silent")
	}
	f.took()
	f.must(f.Uninstall(t.Context(), owner))
	check(t, "removal", []string{"apt-get purge -q --yes haproxy", "systemctl unmask haproxy.service"}, f.took())
	check(t, "files left", nil, f.left())
}

func TestForeignSystem(t *testing.T) {
	f := newFake(t, "ID=alpine\n")
	err := f.Install(t.Context(), f.options())
	if err == nil || !strings.Contains(err.Error(), "none of the Debian or Red Hat families: alpine") || hint.Of(err) == "" {
		t.Errorf("%v (%s)", err, hint.Of(err))
	}
	if os.Geteuid() != 0 {
		if err := (Host{}).Install(t.Context(), f.options()); !errors.Is(err, ErrNotRoot) {
			t.Errorf("an ordinary user: %v", err)
		}
	}
}

func TestUnit(t *testing.T) {
	text, err := unit(owner)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/unit.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	verify(t, text)
}

// verify has systemd itself read the unit, with a program that exists.
func verify(t *testing.T, text string) {
	t.Helper()
	exe := testbed.Program(t, "systemd-analyze")
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(strings.Replace(text, LayoutOf(owner).Program(), "/bin/true", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(exe, "verify", "--man=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), name) {
		t.Errorf("%v: %s", err, out)
	}
}
