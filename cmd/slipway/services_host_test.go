//go:build rehearse && servers

package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/services/install"
	"github.com/slipway-project/slipway/provision/services/remote/remotetest"
)

// onHosts is the example with its services on hosts at these addresses.
func onHosts(t *testing.T, hosts map[string]*remotetest.Debian) string {
	t.Helper()
	block := "address = \"192.0.2.210\"\n    mode = \"ssh\"\n"
	for _, at := range addressesOf(hosts) {
		block += fmt.Sprintf("    ssh {\n      host = %q\n      address = %q\n      user = %q\n      key = %q\n      host_key = %q\n    }\n",
			at, at, remotetest.User, hosts[at].KeyFile, hosts[at].HostKey)
	}
	return servicesSpec(t, block)
}

func addressesOf(hosts map[string]*remotetest.Debian) (all []string) {
	for at := range hosts {
		all = append(all, at)
	}
	slices.Sort(all)
	return all
}

// servicesWorld is a world for the example, with services hosts in it that have
// these addresses, and slipway as it is released.
func servicesWorld(t *testing.T, at ...string) (w *testWorld, hosts map[string]*remotetest.Debian) {
	t.Helper()
	w, hosts = openWorldAt(t, 50, example), map[string]*remotetest.Debian{}
	w.exe = remotetest.Program(t, "services")
	for _, a := range at {
		hosts[a] = remotetest.Boot(t)
		w.connectHost(t, a, hosts[a])
	}
	return w, hosts
}

// connectHost switches a services host on.
func (w *testWorld) connectHost(t *testing.T, at string, host *remotetest.Debian) {
	t.Helper()
	w.ip(t, "addr", "replace", at+"/24", "dev", "eth0")
	host.Listen(netip.MustParseAddrPort(at+":22"), "nsenter", "--target", strconv.Itoa(w.ready.PID), "--net", "--")
}

// servedBy is the process that serves on the host.
func (w *testWorld) servedBy(t *testing.T, host *remotetest.Debian) (status struct{ PID int }) {
	t.Helper()
	layout := install.LayoutOf("mycluster.lab.test")
	out, err := exec.Command("chroot", host.Root, layout.Program(), "serve", "status", "--run-dir", layout.RunDir(), "-o", "json").Output()
	if err == nil {
		err = json.Unmarshal(out, &status)
	}
	if err != nil {
		t.Fatalf("serve on %s: %v", host.Root, err)
	}
	return status
}

func (w *testWorld) status(t *testing.T, spec string) (s provision.Status) {
	t.Helper()
	if err := json.Unmarshal([]byte(w.must(t, "status", "-f", spec, "-o", "json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// goneBut wants nothing to be left, in the world and on the hosts, but the sshd
// of those.
func (w *testWorld) goneBut(t *testing.T, hosts map[string]*remotetest.Debian) {
	t.Helper()
	for at, host := range hosts {
		if left := host.Changed(); left != nil {
			t.Errorf("left on %s: %v", at, left)
		}
		host.Kill()
	}
	w.noResidue(t)
}

// A services host gets all it needs over SSH, serves whatever becomes of up,
// and is left by down as it was.
func TestRehearseServicesHost(t *testing.T) {
	const at = "192.0.2.210"
	w, hosts := servicesWorld(t, at)
	host, spec := hosts[at], onHosts(t, hosts)
	w.killedAt(t, "services:before-done", "up", spec)
	w.killedAt(t, "discover:after-intent", "up", spec)
	first := w.servedBy(t, host)
	w.answers(t, at, "api-int.mycluster.lab.test", at)
	w.must(t, "up", "--yes", "-f", spec)
	w.noneTwice(t, 5)
	if now := w.servedBy(t, host); now != first {
		t.Errorf("served by pid %d, and by %d before up was killed", now.PID, first.PID)
	}
	for name, want := range map[string]string{"api": at, "x.apps": at, "worker-0": "192.0.2.204"} {
		w.answers(t, at, name+".mycluster.lab.test", want)
	}
	if s := w.status(t, spec); s.Services != "serving" || s.State != "ready" {
		t.Errorf("status %+v", s)
	}
	w.must(t, "doctor", "-f", spec)
	w.must(t, "down", "--yes", "-f", spec)
	w.goneBut(t, hosts)
}

// Of two services hosts one loses its power while the cluster installs.
func TestRehearseOneOfTwoServicesHostsDies(t *testing.T) {
	const dying, living = "192.0.2.211", "192.0.2.212"
	w, hosts := servicesWorld(t, dying, living)
	spec := onHosts(t, hosts)
	w.killedAt(t, "discover:after-intent", "up", spec)
	if got := w.run(t, "dig", "@"+living, "+short", "api.mycluster.lab.test"); got != dying+"\n"+living+"\n" {
		t.Errorf("the API is at %q", got)
	}
	hosts[dying].Kill()
	w.ip(t, "addr", "del", dying+"/24", "dev", "eth0")
	w.must(t, "up", "--yes", "-f", spec)
	w.noneTwice(t, 5)
	if s := w.status(t, spec); s.Services != dying+": stopped; "+living+": serving" || s.State != "ready" {
		t.Errorf("status %+v", s)
	}
	if stderr := w.fails(t, provision.ExitPartial, nil, "down", "--yes", "-f", spec); !strings.Contains(stderr, "services on "+dying) {
		t.Errorf("down with a host that is gone: %s", stderr)
	}
	w.connectHost(t, dying, hosts[dying])
	w.must(t, "down", "--yes", "-f", spec)
	w.goneBut(t, hosts)
}

// What is wrong with a services host is said before anything is made, with the
// host's name.
func TestRehearseRefusesServicesHosts(t *testing.T) {
	const at = "192.0.2.210"
	w, hosts := servicesWorld(t, at)
	host, spec := hosts[at], onHosts(t, hosts)
	refused := func(spec string, want ...string) {
		t.Helper()
		stderr := w.fails(t, provision.ExitPreflight, nil, "up", "--yes", "-f", spec)
		for _, text := range append(want, "slipway: hint: ") {
			if !strings.Contains(stderr, text) {
				t.Errorf("stderr lacks %q:\n%s", text, stderr)
			}
		}
	}
	text, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	but := func(old, now string) string {
		path := filepath.Join(t.TempDir(), "cluster.hcl")
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, now, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	refused(but(`host = "`+at, `host = "192.0.2.99`), "services host 192.0.2.99: ")
	refused(but(`      address = "`+at, `      address = "192.0.2.220`), "services host "+at+": it has not the services address 192.0.2.220", "ip addr add 192.0.2.220/24")
	refused(but(host.KeyFile, filepath.Join(t.TempDir(), "none")), "services host "+at+": there is no SSH key to log in with: ", "none does not exist")
	t.Run("a port that is taken", func(t *testing.T) {
		w.hold(t, at+":6443")
		refused(spec, "services host "+at+": port 6443/tcp is taken")
	})
	host.Write("etc/sudoers.d/admin", remotetest.User+" ALL=(ALL) ALL\n", 0o440)
	refused(spec, "services host "+at+": ", "a password is required")
	w.goneBut(t, hosts)
}
