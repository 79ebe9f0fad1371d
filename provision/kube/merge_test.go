package kube

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// installed is what an installer hands over.
const installed = `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: ""
    server: https://api.mycluster.lab.test:6443
  name: mycluster
contexts:
- context:
    cluster: mycluster
    namespace: default
    user: admin
  name: admin
current-context: admin
users:
- name: admin
  user:
    token: t0ken
`

const mine = `# mine
apiVersion: v1
kind: Config
current-context: work # at the office
preferences:
  colors: true
clusters:
- cluster:
    server: https://work.example:6443
  name: work
contexts:
- context:
    cluster: work
    user: me
  name: work
users:
- name: me
  user:
    exec:
      command: login
`

const added = `# mine
apiVersion: v1
kind: Config
current-context: slipway-mycluster # at the office
preferences:
  colors: true
clusters:
- cluster:
    server: https://work.example:6443
  name: work
- cluster:
    certificate-authority-data: ""
    server: https://api.mycluster.lab.test:6443
  name: slipway-mycluster
contexts:
- context:
    cluster: work
    user: me
  name: work
- context:
    cluster: slipway-mycluster
    namespace: default
    user: slipway-mycluster
  name: slipway-mycluster
users:
- name: me
  user:
    exec:
      command: login
- user:
    token: t0ken
  name: slipway-mycluster
`

func TestMergeKeepsTheOtherEntries(t *testing.T) {
	got, err := Merge([]byte(mine), []byte(installed), "slipway-mycluster")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(added, string(got)); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	again, err := Merge(got, []byte(installed), "slipway-mycluster")
	if diff := cmp.Diff(added, string(again)); diff != "" || err != nil {
		t.Errorf("merged twice, %v (-want +got):\n%s", err, diff)
	}
	if !HasContext(got, "slipway-mycluster") || HasContext([]byte(mine), "slipway-mycluster") {
		t.Error("HasContext is wrong")
	}
	rest, ok, err := Unmerge(got, "slipway-mycluster")
	if want := strings.Replace(mine, "current-context: work", `current-context: ""`, 1); string(rest) != want || !ok || err != nil {
		t.Errorf("%v, %v, rest (-want +got):\n%s", ok, err, cmp.Diff(want, string(rest)))
	}
	if _, ok, err := Unmerge(rest, "slipway-mycluster"); ok || err != nil {
		t.Errorf("taken out twice: %v, %v", ok, err)
	}
}

func TestMergeIntoNothing(t *testing.T) {
	for name, into := range map[string]string{
		"no file": "", "null": "null\n", "a comment": "# nothing yet\n",
		"kubectl's empty one": "apiVersion: v1\nkind: Config\nclusters: null\ncontexts: []\ncurrent-context: \"\"\nusers: []\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Merge([]byte(into), []byte(installed), "slipway-mycluster")
			if err != nil {
				t.Fatal(err)
			}
			k, err := Parse(got)
			if err != nil || k.Server.Host != "api.mycluster.lab.test:6443" {
				t.Errorf("%v of\n%s", err, got)
			}
		})
	}
}

func TestMergeRefusesWhatItWouldDestroy(t *testing.T) {
	for name, tt := range map[string]struct {
		into, want string
		line       int
	}{
		"no YAML":                {"clusters:\n\t- x", "it is not YAML", 2},
		"a list":                 {"- a\n", "it is no kubeconfig: it has no keys", 1},
		"a text":                 {"kubeconfig\n", "it is no kubeconfig: it has no keys", 1},
		"clusters are no list":   {"kind: Config\nclusters:\n  work: {}\n", "clusters is not a list", 3},
		"an entry has no name":   {"users:\n- user: {}\n", "an entry of users has no name", 2},
		"the name of another":    {"clusters:\n- name: slipway-mycluster\n  cluster: {server: https://other.example}\n", "cluster slipway-mycluster is another one, at https://other.example", 2},
		"a key is no text":       {"? {a: b}\n: c\n", "it holds YAML that kubeconfigs do not have", 0},
		"the name of no cluster": {"clusters:\n- name: slipway-mycluster\n", "cluster slipway-mycluster is another one, at ", 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Merge([]byte(tt.into), []byte(installed), "slipway-mycluster")
			var file *FileError
			if !errors.As(err, &file) || file.What != tt.want || file.Line != tt.line {
				t.Errorf("error %v at line %+v, want %q at %d", err, file, tt.want, tt.line)
			}
		})
	}
}

// FuzzMerge: a kubeconfig of anybody's is merged into or refused; merged, ours
// is the current context, and nobody else's entries are lost.
func FuzzMerge(f *testing.F) {
	for _, seed := range []string{mine, added, "", "clusters: []", "clusters: &a [{name: x}]\nusers: *a", "? {a: b}\n: c\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, into []byte) {
		got, err := Merge(into, []byte(installed), "slipway-mycluster")
		if err != nil {
			return
		}
		if _, err := Parse(got); err != nil {
			t.Fatalf("%v of\n%s", err, got)
		}
		before, after := names(into), names(got)
		for name := range before {
			if !after[name] {
				t.Errorf("%s is lost from\n%s", name, got)
			}
		}
	})
}

// names are those of all entries.
func names(data []byte) map[string]bool {
	var file struct{ Clusters, Contexts, Users []struct{ Name string } }
	found := map[string]bool{}
	if yaml.Unmarshal(data, &file) != nil {
		return found
	}
	for kind, list := range map[string][]struct{ Name string }{"cluster ": file.Clusters, "context ": file.Contexts, "user ": file.Users} {
		for _, e := range list {
			found[kind+e.Name] = true
		}
	}
	return found
}
