//go:build rehearse

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision"
)

// An up that is killed once its machines run is seen through by wait, which
// holds the spec's checks too; a time that ends before is exit 13. What the
// spec protects stays, and so does what has not expired.
func TestRehearseWaitSeesAnInstallationThrough(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	const workers = `machines "worker"`
	with := func(text string) string { return variant(t, workers, text+"\n  "+workers) }
	spec := with(`ttl = "8h"
  check "console" { get = "https://console-openshift-console.apps.mycluster.lab.test/" }`)
	if told := w.fails(t, 1, nil, "wait", "-f", spec); !strings.Contains(told, "there is no installation to wait for") || !strings.Contains(told, "`slipway up`") {
		t.Errorf("before up:\n%s", told)
	}
	up := w.slipway(t, "up", "--yes", "-f", spec)
	up.Env = append(up.Env, "SLIPWAY_CRASH=discover:after-intent")
	if err := up.Run(); err == nil {
		t.Fatal("up was not killed")
	}
	told := w.fails(t, 13, nil, "wait", "-f", spec, "--timeout", "1s")
	if !strings.Contains(told, "it was still progressing") || !strings.Contains(told, "slipway: hint: it goes on without slipway: `slipway wait`") {
		t.Errorf("the time ended:\n%s", told)
	}
	w.must(t, "wait", "-f", spec, "--for", "installed")
	var result provision.Result
	if err := json.Unmarshal([]byte(w.must(t, "wait", "-f", spec, "-o", "json")), &result); err != nil {
		t.Fatal(err)
	}
	for _, n := range result.Nodes {
		if !n.Ready {
			t.Errorf("%s is not Ready", n.Name)
		}
	}
	if _, err := os.Stat(result.Kubeconfig); err != nil || len(result.Nodes) != 5 {
		t.Errorf("result %+v, %v", result, err)
	}
	w.noneTwice(t, 5)
	if answer := w.must(t, "status", "-f", spec); !strings.Contains(answer, "expires in 7h5") {
		t.Errorf("status does not say when it expires:\n%s", answer)
	}
	w.staysUnlessExpired(t, spec, with("protect = true"), with(`ttl = "1s"`))
}

func (w *testWorld) staysUnlessExpired(t *testing.T, young, protected, short string) {
	t.Helper()
	if told := w.fails(t, 10, nil, "down", "--yes", "-f", protected); !strings.Contains(told, "is protected: the cluster block at "+protected+":") {
		t.Errorf("down of what is protected:\n%s", told)
	}
	if answer := w.must(t, "down", "--yes", "--expired", "-f", young); !strings.HasPrefix(answer, "nothing to do: mycluster.lab.test expires in 7h") {
		t.Errorf("down --expired of a young cluster answers %q", answer)
	}
	w.noneTwice(t, 5)
	if answer := w.must(t, "down", "--yes", "--expired", "-f", short); answer != "mycluster.lab.test is gone\n" {
		t.Errorf("down --expired of an old cluster answers %q", answer)
	}
	w.noResidue(t)
}

// A check that does not hold is exit 7, with the URL and what it answered.
func TestRehearseCheckThatFails(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	const workers = `machines "worker"`
	spec := variant(t, workers, `check "shop" {
    get    = "https://shop.apps.mycluster.lab.test/"
    within = "5s"
  }
  `+workers)
	told := w.fails(t, 7, nil, "up", "--yes", "-f", spec)
	if !strings.Contains(told, "check shop: ") || !strings.Contains(told, "https://shop.apps.mycluster.lab.test/ answers 503, not 200") || !strings.Contains(told, spec+":") {
		t.Errorf("stderr:\n%s", told)
	}
	w.goneAfterDown(t, spec)
}
