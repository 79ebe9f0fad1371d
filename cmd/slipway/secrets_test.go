//go:build rehearse

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The secrets of a run are nowhere but in credentials/ and in what hands them
// out when asked: not in output, events, state, services document, logs,
// process arguments or the environment of what outlives the run.
func TestRehearseKeepsSecrets(t *testing.T) {
	t.Parallel()
	spec := variant(t, `provider "proxmox"`, "secret \"pull\" {\n  env = \"PULL\"\n}\n\nprovider \"proxmox\"", `domain  =`, "pull_secret = secret.pull\n  domain  =")
	w := openTestWorld(t, spec)
	var told bytes.Buffer
	for _, args := range [][]string{{"plan", "-o", "json"}, {"up", "--yes", "--progress", "json", "-o", "json"}, {"status", "-o", "json"}, {"up", "--yes"}} {
		cmd := w.slipway(t, append(args, "-f", spec)...)
		cmd.Stdout, cmd.Stderr = &told, &told
		if err := cmd.Run(); err != nil {
			t.Fatalf("slipway %v: %v\n%s", args, err, told.String())
		}
	}
	places := map[string]string{"output": told.String()}
	for path, text := range w.files(t) {
		places[path] = text
	}
	for _, kind := range []string{"cmdline", "environ"} {
		for path, text := range processes(t, kind, w.dir) {
			places[path] = text
		}
	}
	secrets := w.secrets(t)
	for name, value := range secrets {
		for place, text := range places {
			for form, shown := range forms(value) {
				if strings.Contains(text, shown) {
					t.Errorf("%s stands, %s, in %s", name, form, place)
				}
			}
		}
	}
	if len(secrets) != 5 || len(places) < 8 {
		t.Errorf("looked for %d secrets in %d places only", len(secrets), len(places))
	}
	w.goneAfterDown(t, spec)
}

// forms are the ways in which a secret may have been written.
func forms(value string) map[string]string {
	quoted, _ := json.Marshal(value)
	return map[string]string{"as it is": value, "in base64": base64.StdEncoding.EncodeToString([]byte(value)),
		"in a URL": url.QueryEscape(value), "in JSON": strings.Trim(string(quoted), `"`)}
}

// secrets are the values of this run, each by a part that is surely its own.
func (w *testWorld) secrets(t *testing.T) map[string]string {
	t.Helper()
	home := filepath.Join(w.ready.Env["SLIPWAY_HOME"], "clusters", "mycluster.lab.test", "credentials")
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	_, token, _ := strings.Cut(w.ready.Env["SLIPWAY_PROXMOX_TOKEN"], "=")
	key := strings.Split(read(filepath.Join(home, "id_ed25519")), "\n")
	kubeconfig := read(filepath.Join(home, "kubeconfig"))
	_, clientKey, _ := strings.Cut(kubeconfig, "client-key-data: ")
	return map[string]string{
		"the Proxmox token": token, "the pull secret": "cmVoZWFyc2FsOnJlaGVhcnNhbA==",
		"the SSH key": key[len(key)/2], "the kubeadmin password": read(filepath.Join(home, "kubeadmin-password")),
		"the kubeconfig's key": strings.Fields(clientKey)[0][100:200],
	}
}

// files are those of the state directory but for credentials.
func (w *testWorld) files(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(w.ready.Env["SLIPWAY_HOME"], func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "credentials" {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			found[path] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// processes reads one file of each process that has to do with the world and
// is not its client: serve and haproxy.
func processes(t *testing.T, kind, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		args, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(args), dir) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), kind))
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Join(filepath.Dir(path), kind)] = string(text)
	}
	if len(found) < 2 {
		t.Errorf("only %d processes found", len(found))
	}
	return found
}
