//go:build rehearse

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-project/slipway/provision"
)

// inServices is the line of the example that a spec with other services has
// others for.
const inServices = "address = cidrhost(local.lan, 210) # DNS and load balancer, on this host"

// servicesSpec is the example with other lines in its services block.
func servicesSpec(t *testing.T, lines ...string) string {
	t.Helper()
	return variant(t, inServices, strings.Join(lines, "\n"))
}

// Hosts that the services are to run on are not logged in to in a rehearsal,
// which says so.
func TestRehearseReplacesServicesHosts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ lines, replaced string }{
		"ssh": {`ssh { host = "services.lab.test" }`, "services host services.lab.test        that namespace: nobody logs in to yours\n"},
		"vm":  {"vm { cpus = 4 }", "services machine of mycluster          that namespace: no cloud image is fetched, none booted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := servicesSpec(t, `address = "192.0.2.210"`, `mode = "`+name+`"`, tt.lines)
			cmd := exec.Command(slipway(t), "rehearse", "-f", spec, "--progress", "plain")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			if told := stderr.String(); !strings.Contains(told, tt.replaced) || strings.Contains(told, "Unused block") {
				t.Errorf("it says:\n%s", told)
			}
		})
	}
}

// The spec says which balancer serves.
func TestRehearseBalancerModes(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	embedded := servicesSpec(t, `address = "192.0.2.210"`, `load_balancer { mode = "embedded" }`)
	w.must(t, "up", "--yes", "-f", embedded)
	w.balanced(t, "embedded")
	w.goneAfterDown(t, embedded)

	path := strings.TrimSpace(w.run(t, "sh", "-c", "command -v haproxy"))
	if err := w.command("mount", "--bind", "/dev/null", path).Run(); err != nil {
		t.Fatal("mount inside the world: ", err)
	}
	haproxy := servicesSpec(t, `address = "192.0.2.210"`, `load_balancer { mode = "haproxy" }`)
	if stderr := w.fails(t, provision.ExitPreflight, nil, "up", "--yes", "-f", haproxy); !strings.Contains(stderr, "haproxy is not installed") {
		t.Errorf("without haproxy: %s", stderr)
	}
	w.noResidue(t)
}

// With DNS and load balancer of the user's own nothing of ours serves, and what
// of theirs is not ready is said before anything is made.
func TestRehearseExternalServices(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	for _, a := range []string{"192.0.2.53/24", "192.0.2.220/24"} {
		w.ip(t, "addr", "add", a, "dev", "eth0")
	}
	spec := servicesSpec(t, `address = "192.0.2.220"`, `mode = "external"`, "dns {", `mode = "external"`, `server = "192.0.2.53"`, "}")
	if stderr := w.fails(t, provision.ExitPreflight, nil, "up", "--yes", "-f", spec); !strings.Contains(stderr, "DNS server 192.0.2.53:53 does not answer") {
		t.Errorf("without DNS: %s", stderr)
	}
	stopDNS := w.serveZones(t, w.must(t, "dns", "records", "-f", spec, "-o", "zone"))
	if found := w.must(t, "doctor", "-f", spec); !strings.Contains(found, "your load balancer at 192.0.2.220 accepts no connections at 6443, 22623, 443, 80") || !strings.Contains(found, "`slipway lb check`") {
		t.Errorf("doctor without a load balancer:\n%s", found)
	}
	stopBalancer := w.balance(t, w.must(t, "lb", "render", "-f", spec, "--run-dir", w.dir))
	if found := w.must(t, "doctor", "-f", spec); found != "mycluster.lab.test: nothing is in the way\n" {
		t.Errorf("doctor:\n%s", found)
	}
	w.must(t, "up", "--yes", "-f", spec)
	w.noneTwice(t, 5)
	w.checked(t, spec)
	if s := w.must(t, "status", "-f", spec); !strings.Contains(s, "external") {
		t.Errorf("status:\n%s", s)
	}
	w.fails(t, 1, nil, "serve", "status")
	w.must(t, "down", "--yes", "-f", spec)

	// Names are ours, and name the user's load balancer.
	ours := servicesSpec(t, `address = "192.0.2.210"`, "load_balancer {", `mode = "external"`, `address = "192.0.2.220"`, "}")
	w.must(t, "up", "--yes", "-f", ours)
	for _, name := range []string{"api", "api-int", "x.apps"} {
		w.answers(t, "192.0.2.210", name+".mycluster.lab.test", "192.0.2.220")
	}
	if w.accepts("192.0.2.210:6443") {
		t.Error("serve balances although somebody else is to")
	}
	w.must(t, "down", "--yes", "-f", ours)
	stopDNS()
	stopBalancer()
	w.noResidue(t)
}

// ip changes the network of the world.
func (w *testWorld) ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := w.command(append([]string{"ip"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// balance runs a haproxy of the user's in the world.
func (w *testWorld) balance(t *testing.T, config string) (stop func()) {
	t.Helper()
	path := filepath.Join(w.dir, "haproxy.cfg")
	for name, text := range map[string]string{path: config, filepath.Join(w.dir, "servers.state"): "1\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := w.command("haproxy", "-f", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }
	for deadline := time.Now().Add(20 * time.Second); !w.accepts("192.0.2.220:6443") && time.Now().Before(deadline); <-time.After(100 * time.Millisecond) {
	}
	return stop
}

// accepts reports whether a connection is not refused.
func (w *testWorld) accepts(address string) bool {
	const refused = 7 // curl(1)
	err := w.command("curl", "-sk", "-m", "5", "https://"+address+"/").Run()
	exit := new(exec.ExitError)
	return !errors.As(err, &exit) || exit.ExitCode() != refused
}

// checked waits until every port of the load balancer does as it must.
func (w *testWorld) checked(t *testing.T, spec string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(200 * time.Millisecond) {
		out, err := w.slipway(t, "lb", "check", "-f", spec).CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("lb check: %v\n%s", err, out)
		}
	}
}
