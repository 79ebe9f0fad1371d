//go:build rehearse

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/rehearsal"
)

func exampleOf(name string) string { return "../../examples/" + name + "/cluster.hcl" }

// Addresses by DHCP are learned from the machines as they boot, also by runs
// that come after one that was killed, and DNS has them. The router knows none
// of the names.
func TestRehearseDHCP(t *testing.T) {
	t.Parallel()
	spec := exampleOf("dhcp")
	w := openTestWorld(t, spec)
	for _, at := range []string{"boot worker-1:before-done", "discover:after-intent", "discover:before-done", "install:after-intent", "credentials:before-done"} {
		w.killedAt(t, at, "up", spec)
	}
	nodes := w.up(t, spec)
	w.noneTwice(t, len(nodes))
	leased := map[string]string{}
	for _, h := range w.hosts(t) {
		name, _, _ := strings.Cut(h.Name, ".")
		leased[name] = fmt.Sprint(h.State.Addresses)
	}
	for _, n := range nodes {
		full := n.Name + ".mycluster.lab.test"
		address := n.Address
		if leased[n.Name] != "["+address+"]" {
			t.Errorf("%s: up says %s, the machine has %s", n.Name, address, leased[n.Name])
		}
		w.answers(t, "192.0.2.210", full, address)
		w.answers(t, "192.0.2.210", "-x "+address, full+".")
		w.answers(t, "192.0.2.1", full, "")
	}
	w.answers(t, "192.0.2.1", "api-int.mycluster.lab.test", "")
	w.answers(t, "192.0.2.1", "pve.lan", "198.51.100.1")
	w.serves(t, "192.0.2.210", "mycluster.lab.test")
	w.killedAt(t, "machine worker-1:before-done", "down", spec)
	if err := os.RemoveAll(w.ready.Env["SLIPWAY_HOME"]); err != nil {
		t.Fatal(err)
	}
	w.goneAfterDown(t, spec)
}

// A single node bootstraps in place: one machine, two boots, its bootkube
// before the disk is written, and API and ingress on it.
func TestRehearseSingleNode(t *testing.T) {
	t.Parallel()
	spec := exampleOf("sno")
	w := openTestWorld(t, spec)
	cmd := w.slipway(t, "up", "--yes", "-f", spec, "--progress", "json")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stages := stagesOf(stderr, "control-0")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want := []string{"Waiting for bootkube", "Writing image to disk", "Rebooting", "Joined", "Done"}
	stages = slices.DeleteFunc(stages, func(s string) bool { return !slices.Contains(want, s) })
	if diff := cmp.Diff(want, stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	hosts := w.hosts(t)
	if len(hosts) != 1 || hosts[0].State.Boots != 2 {
		t.Errorf("machines %+v, want one that has booted twice", hosts)
	}
	w.serves(t, "192.0.2.210", "single.lab.test")
	w.goneAfterDown(t, spec)
}

// stagesOf reads the stages of a node from a stream of events, each once.
func stagesOf(stream io.Reader, node string) (stages []string) {
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		var e event.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind == event.Stage && e.Node == node && !slices.Contains(stages, e.Stage) {
			stages = append(stages, e.Stage)
		}
	}
	return stages
}

// Of five control plane nodes on three hypervisors two are on one at most, so
// that any hypervisor may fail.
func TestRehearseSpread(t *testing.T) {
	t.Parallel()
	spec := exampleOf("three-hypervisors")
	w := openTestWorld(t, spec)
	w.up(t, spec)
	endpoint := "https://pve1.lan:8006"
	out := w.run(t, "curl", "-s", "--fail", "--cacert", w.ready.Endpoints[endpoint].CA, "-H", "Authorization: PVEAPIToken="+w.ready.Env["SLIPWAY_PROXMOX_TOKEN"],
		endpoint+"/api2/json/cluster/resources?type=vm")
	var answer struct{ Data []struct{ Name, Node string } }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Data) != 8 {
		t.Fatalf("%v: %s", err, out)
	}
	control := map[string]int{}
	for _, vm := range answer.Data {
		if strings.HasPrefix(vm.Name, "control-") {
			control[vm.Node]++
		}
	}
	if len(control) != 3 || max(control["pve1"], control["pve2"], control["pve3"]) != 2 {
		t.Errorf("control plane nodes by hypervisor: %v", control)
	}
	counts, err := rehearsal.NewControl(w.dir).Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"pve1", "pve2", "pve3"} {
		if n := counts[endpoint][node]["POST /nodes/{node}/storage/{storage}/upload"]; n != 1 {
			t.Errorf("%s was sent %d images itself, want one", node, n)
		}
	}
	w.goneAfterDown(t, spec)
}

// With four control plane nodes and one worker ingress is on the control
// plane, for one worker does not make it unschedulable.
func TestRehearseFourAndOne(t *testing.T) {
	t.Parallel()
	spec := variant(t, "count     = 3", "count     = 4", "192.0.2.201-203", "192.0.2.201-204", "count     = 2", "count     = 1", "192.0.2.204-205", "192.0.2.205")
	w := openTestWorld(t, spec)
	if nodes := w.up(t, spec); len(nodes) != 5 {
		t.Errorf("nodes %+v", nodes)
	}
	w.serves(t, "192.0.2.210", "mycluster.lab.test")
	w.goneAfterDown(t, spec)
}

// Names and reverse names of both networks are served, to both.
func TestRehearseTwoNetworks(t *testing.T) {
	t.Parallel()
	spec := exampleOf("two-networks")
	w := openTestWorld(t, spec)
	w.up(t, spec)
	w.answers(t, "192.0.2.210", "worker-0.mycluster.lab.test", "198.51.100.21")
	w.answers(t, "192.0.2.210", "-x 198.51.100.21", "worker-0.mycluster.lab.test.")
	w.answers(t, "192.0.2.210", "-x 192.0.2.201", "control-0.mycluster.lab.test.")
	w.serves(t, "192.0.2.210", "mycluster.lab.test")
	w.must(t, "dns", "check", "-f", spec, "--node", "worker-2")
	w.goneAfterDown(t, spec)
}

// up returns the nodes of the cluster, all of which must be Ready and have an
// address.
func (w *testWorld) up(t *testing.T, spec string) []provision.NodeResult {
	t.Helper()
	var result provision.Result
	if err := json.Unmarshal([]byte(w.must(t, "up", "--yes", "-f", spec, "-o", "json")), &result); err != nil {
		t.Fatal(err)
	}
	for _, n := range result.Nodes {
		if !n.Ready || n.Address == "" {
			t.Errorf("node %+v", n)
		}
	}
	return result.Nodes
}

// answers asks a DNS server; the answer "" is NXDOMAIN.
func (w *testWorld) answers(t *testing.T, server, question, want string) {
	t.Helper()
	args := append([]string{"dig", "@" + server, "+noall", "+comments", "+answer"}, strings.Fields(question)...)
	out := w.run(t, args...)
	if want == "" && !strings.Contains(out, "status: NXDOMAIN") || want != "" && !strings.HasSuffix(strings.TrimSpace(out), "\t"+want) {
		t.Errorf("%s says of %s, want %q:\n%s", server, question, want, out)
	}
}

// serves asks the cluster's API and console by way of the services address,
// until haproxy, whose checks take the seconds they take, knows that both are
// there.
func (w *testWorld) serves(t *testing.T, services, cluster string) {
	t.Helper()
	for _, tt := range []struct{ name, port, path, want string }{
		{"api", "6443", "/readyz", "ok"},
		{"console-openshift-console.apps", "443", "/", "Console of " + cluster},
	} {
		host := tt.name + "." + cluster
		out := ""
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline) && !strings.Contains(out, tt.want); <-time.After(100 * time.Millisecond) {
			out = w.run(t, "curl", "-sk", "--fail", "-m", "5", "--resolve", host+":"+tt.port+":"+services, "https://"+host+":"+tt.port+tt.path)
		}
		if !strings.Contains(out, tt.want) {
			t.Errorf("https://%s:%s%s: %q", host, tt.port, tt.path, out)
		}
	}
}

// killedAt runs a verb that kills itself at a crash point.
func (w *testWorld) killedAt(t *testing.T, at, verb, spec string) {
	t.Helper()
	cmd := w.slipway(t, verb, "--yes", "-f", spec, "--progress", "none")
	cmd.Env = append(cmd.Env, "SLIPWAY_CRASH="+at)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%s was not killed at %s: %v\n%s", verb, at, err, out)
	}
}
