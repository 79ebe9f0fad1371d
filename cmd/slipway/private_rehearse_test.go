//go:build rehearse

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// laptopSpec is a cluster of provider qemu in a network of its own.
const laptopSpec = "../../examples/qemu/cluster.hcl"

// A cluster in a private network, by the commands of docs/providers/qemu.md, has its services there, on their real ports,
// survives the run that made it, becomes Ready with real machines, is reached
// from inside by every verb and from outside at an address of the loopback
// network, and leaves nothing.
func TestRehearsePrivateNetwork(t *testing.T) {
	needMachines(t)
	began := time.Now()
	w := startWorld(t, tryIt(t, "rehearse world")...)
	before := w.links(t)
	published := w.killedServing(t)
	w.must(t, tryIt(t, "up")...)
	t.Logf("Ready after %.0f s", time.Since(began).Seconds())
	w.guestsAgree(t)
	w.reachedFromOutside(t, published)
	w.must(t, tryIt(t, "down")...)
	w.nothingLeft(t, before)
	t.Logf("done after %.0f s", time.Since(began).Seconds())
}

// tryIt is the command line of a verb in docs/providers/qemu.md, as it is to
// be typed in the directory of the sources.
func tryIt(t *testing.T, verb string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/providers/qemu.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^    (?:inside )?slipway (` + verb + ` -[^>\n]*)`).FindSubmatch(text)
	if line == nil {
		t.Fatalf("docs/providers/qemu.md has no command %q", verb)
	}
	return strings.Fields(strings.ReplaceAll(string(line[1]), " examples/", " ../../examples/"))
}

// killedServing kills up once the services are there: they stay, and the verbs
// that ask the cluster find it. It returns where up has said that this host
// reaches it.
func (w *testWorld) killedServing(t *testing.T) (published string) {
	t.Helper()
	up := w.slipway(t, "up", "--yes", "-f", laptopSpec)
	up.Env = append(up.Env, "SLIPWAY_CRASH=services:after-done")
	out, err := up.CombinedOutput()
	said := regexp.MustCompile(`private network: 192\.0\.2\.210:6443 is (127\.77\.\d+\.1):6443 on this host\n`).FindSubmatch(out)
	if err == nil || said == nil {
		t.Fatalf("up, killed once the services are there: %v\n%s", err, out)
	}
	if got := w.must(t, tryIt(t, "status")...); !strings.Contains(got, "Services:  serving") {
		t.Errorf("status: %s", got)
	}
	typed, err := os.Open(laptopSpec)
	if err != nil {
		t.Fatal(err)
	}
	defer typed.Close()
	plan := w.slipway(t, "plan", "-f", "-")
	plan.Stdin = typed
	if got, err := plan.CombinedOutput(); err != nil || !strings.Contains(string(got), "services") {
		t.Errorf("plan of what is typed: %v: %s", err, got)
	}
	if got := w.must(t, tryIt(t, "dns check")...); strings.Contains(got, "WRONG") {
		t.Errorf("dns check: %s", got)
	}
	return string(said[1])
}

// reachedFromOutside is a client on this host, outside of the network, with the
// line in /etc/hosts that up prints: API and console answer, and the kubeconfig
// lists the nodes.
func (w *testWorld) reachedFromOutside(t *testing.T, published string) {
	t.Helper()
	if got := w.run(t, "curl", "-sk", "https://"+published+":6443/readyz"); got != "ok" {
		t.Errorf("readyz, asked from outside: %q", got)
	}
	w.serves(t, published, "mycluster.lab.test")
	const api = "https://api.mycluster.lab.test:6443"
	args := []string{"curl", "-s", "--fail", "-m", "10", "--resolve", "api.mycluster.lab.test:6443:" + published}
	out := w.run(t, slices.Concat(args, w.admin(t), []string{api + "/api/v1/nodes"})...)
	var nodes struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(out), &nodes); err != nil || len(nodes.Items) != 5 {
		t.Errorf("nodes, asked from outside: %v: %s", err, out)
	}
}

// admin is the kubeconfig as arguments of curl.
func (w *testWorld) admin(t *testing.T) (args []string) {
	t.Helper()
	file, dir := w.must(t, "kubeconfig", "-f", laptopSpec), t.TempDir()
	for option, field := range map[string]string{"cacert": "certificate-authority-data", "cert": "client-certificate-data", "key": "client-key-data"} {
		_, text, _ := strings.Cut(file, field+": ")
		text, _, _ = strings.Cut(text, "\n")
		path := filepath.Join(dir, option)
		data, err := base64.StdEncoding.DecodeString(text)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+option, path)
	}
	return args
}

// nothingLeft looks for processes, in whichever namespaces of the world, and so
// for these; for listeners, files, and network devices that were not there
// before.
func (w *testWorld) nothingLeft(t *testing.T, before string) {
	t.Helper()
	w.noResidue(t)
	if left := w.emulators(t); len(left) > 0 {
		t.Errorf("QEMU is left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "qemu")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files of machines are left: %v", err)
	}
	if beside, err := os.ReadDir(filepath.Dir(laptopSpec)); err != nil || len(beside) != 1 {
		t.Errorf("beside the spec is left: %v, %v", beside, err)
	}
	if links := w.links(t); links != before {
		t.Errorf("network devices %q, before up %q", links, before)
	}
}

// links are the network devices of this host.
func (w *testWorld) links(t *testing.T) string {
	t.Helper()
	return strings.Join(strings.Fields(w.run(t, "ls", "/sys/class/net")), " ")
}
