//go:build rehearse

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// The real ssh logs in to nodes as slipway knows them, and its exit code is
// ours. What is gathered of a running cluster is whole and holds no secret.
func TestRehearseLogsInAndGathers(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	w.must(t, "up", "--yes", "-f", example)
	if got := w.must(t, "ssh", "-f", example, "worker-1", "--", "hostname"); got != "worker-1.mycluster.lab.test\n" {
		t.Errorf("hostname %q", got)
	}
	w.fails(t, 1, nil, "ssh", "-f", example, "control-0", "false")
	if got := w.must(t, "list"); !strings.Contains(got, "mycluster.lab.test  ready  5") {
		t.Errorf("list:\n%s", got)
	}
	meetsAgain(t, w)
	checkBundle(t, w)
	w.goneAfterDown(t, example)
	if got := w.must(t, "list"); got != "" {
		t.Errorf("list after down:\n%s", got)
	}
}

// meetsAgain forgets the host keys: the first login learns them, and a key
// that has changed is refused.
func meetsAgain(t *testing.T, w *testWorld) {
	t.Helper()
	book := filepath.Join(w.ready.Env["SLIPWAY_HOME"], "clusters", "mycluster.lab.test", "host_keys.json")
	if err := os.Remove(book); err != nil {
		t.Fatal(err)
	}
	w.must(t, "ssh", "-f", example, "worker-1", "true")
	text, err := os.ReadFile(book)
	if err != nil || !strings.Contains(string(text), `"worker-1 installed"`) {
		t.Fatalf("%v, host keys %s", err, text)
	}
	other := strings.Replace(string(text), `"worker-1 installed"`, `"control-0 installed"`, 1)
	if err := os.WriteFile(book, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if stderr := w.fails(t, 255, nil, "ssh", "-f", example, "control-0", "true"); !strings.Contains(stderr, "Host key verification failed") {
		t.Errorf("stderr:\n%s", stderr)
	}
	if err := os.WriteFile(book, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkBundle(t *testing.T, w *testWorld) {
	t.Helper()
	path := filepath.Join(w.dir, "bundle.tar.gz")
	defer os.Remove(path)
	cmd := w.slipway(t, "gather", "-f", example, "--out", path)
	var told bytes.Buffer
	cmd.Stderr = &told
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	files := bundleFiles(t, path)
	for name, part := range map[string]string{
		"index.txt": "In this bundle:", "state.json": `"cluster": "mycluster.lab.test"`, "status.json": `"state": "ready"`,
		"plan.json": "control-0", "services/document.json": "api-int", "services/serve.log": "serving document", "services/haproxy.cfg": "frontend",
		"services/status.json": `"servers"`, "services/dns.metrics": "# EOF", "installer/events.json": "cluster_id",
		"cluster/nodes.json": "worker-0.mycluster.lab.test", "cluster/operators.json": `"Available": true`,
		"nodes/worker-1/facts.json": `"Kubelet": "active"`, "nodes/control-2/journal.txt": "control-2",
	} {
		if !strings.Contains(files[name], part) {
			t.Errorf("%s lacks %q; told:\n%s\n%.400s", name, part, told.String(), files[name])
		}
	}
	for what, value := range w.secretsOf(t) {
		for name, text := range files {
			for form, shown := range forms(value) {
				if strings.Contains(text, shown) {
					t.Errorf("%s stands, %s, in %s", what, form, name)
				}
			}
		}
	}
}

// secretsOf are those of a run whose spec has no pull secret.
func (w *testWorld) secretsOf(t *testing.T) map[string]string {
	t.Helper()
	all := w.secrets(t)
	delete(all, "the pull secret")
	return all
}

func bundleFiles(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(zip); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(head.Name, "/")
		files[name] = string(text)
	}
}

// A terminal sees the progress of a run, and its cursor again afterwards.
func TestRehearseOnATerminal(t *testing.T) {
	t.Parallel()
	script := testbed.Program(t, "script")
	w := openTestWorld(t, example)
	line := w.exe + " up --yes -f " + example + " && " + w.exe + " down --yes -f " + example
	cmd := w.command(script, "-qec", "stty cols 100 rows 30; "+line, "/dev/null")
	cmd.Env = append(cmd.Env, "TERM=xterm", "CI=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{"\x1b[1mup mycluster.lab.test  ", "control-0  ", "mycluster.lab.test: up done in ", "mycluster.lab.test: down done in ", "mycluster.lab.test is gone"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %.3000q", want, text)
		}
	}
	if strings.LastIndex(text, "\x1b[?25h") < strings.LastIndex(text, "\x1b[?25l") {
		t.Error("the cursor stays hidden")
	}
	w.noResidue(t)
}
