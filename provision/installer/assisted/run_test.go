package assisted_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// A whole run: registered, discovered, installed, handed over, removed.
func TestInstall(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := install(w, c)
	checkHandOver(w, c, ref)
	w.must(w.engine.Remove(t.Context(), mark("")))
	if left := append(w.service.Clusters(), w.service.InfraEnvs()...); len(left) > 0 {
		t.Errorf("Remove leaves %q", left)
	}
}

func install(w *world, c installer.Cluster) installer.Ref {
	w.t.Helper()
	ctx := w.t.Context()
	if problems := w.engine.Check(ctx, c); len(problems) > 0 {
		w.t.Fatalf("Check: %+v", problems)
	}
	ref := w.register(c)
	checkMedia(w, c, ref)
	w.boot(c, ref)
	p := w.until("ready", c, ref, reached(installer.Ready))
	if len(p.Blocking)+len(p.Strange) > 0 {
		w.t.Errorf("ready, but blocking %v, strange %v", p.Blocking, p.Strange)
	}
	w.must(w.engine.Install(ctx, ref))
	w.must(w.engine.Install(ctx, ref)) // begun already: no error
	w.until("rebooted", c, ref, everyHost(func(h installer.HostProgress) bool { return h.Rebooted && !h.WrongBoot }))
	for _, a := range w.agents {
		w.must(a.Join(ctx))
	}
	w.until("finalizing", c, ref, reached(installer.Finalizing))
	for _, operator := range []string{"cvo", "console"} {
		w.must(w.agents[0].Available(ctx, ref.ClusterID, operator))
	}
	p = w.until("installed", c, ref, reached(installer.Installed))
	if p.Percent != 100 || len(p.Blocking) > 0 || !everyHost(func(h installer.HostProgress) bool { return h.Done && h.Percent == 100 })(p) {
		w.t.Errorf("installed, but %+v", p)
	}
	return ref
}

func everyHost(ok func(installer.HostProgress) bool) func(installer.Progress) bool {
	return func(p installer.Progress) bool {
		for _, h := range p.Hosts {
			if !ok(h) {
				return false
			}
		}
		return true
	}
}

func checkMedia(w *world, c installer.Cluster, ref installer.Ref) {
	w.t.Helper()
	var image bytes.Buffer
	var got, total int64
	n, err := w.engine.Media(w.t.Context(), ref, &image, func(g, t int64) { got, total = g, t })
	w.must(err)
	if n != 1<<20 || int64(image.Len()) != n || got != n || total != n {
		w.t.Errorf("Media = %d, wrote %d, progress %d of %d; want %d", n, image.Len(), got, total, 1<<20)
	}
}

func checkHandOver(w *world, c installer.Cluster, ref installer.Ref) {
	w.t.Helper()
	got, err := w.engine.Credentials(w.t.Context(), c, ref)
	w.must(err)
	bundle := bundleOf(w)
	want := installer.Credentials{
		Kubeconfig: bundle.Kubeconfig, Password: bundle.Password,
		Console: "https://console-openshift-console.apps.mycluster.lab.test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("Credentials (-want +got):\n%s", diff)
	}
	if len(bundle.Hosts) != 5 || bundle.ClusterID != ref.ClusterID {
		w.t.Errorf("bundle is of cluster %s with hosts %v", bundle.ClusterID, bundle.Hosts)
	}
}

func bundleOf(w *world) node.Bundle {
	w.t.Helper()
	text, err := w.agents[4].Ignition(w.t.Context())
	w.must(err)
	var ignition struct {
		Storage struct {
			Files []struct {
				Path     string
				Contents struct{ Source string }
			}
		}
	}
	w.must(json.Unmarshal(text, &ignition))
	file := ignition.Storage.Files[0]
	if file.Path != "/opt/openshift/rehearsal-bundle.json" {
		w.t.Errorf("first file is %s", file.Path)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(file.Contents.Source, "data:application/json;base64,"))
	w.must(err)
	var bundle node.Bundle
	w.must(json.Unmarshal(raw, &bundle))
	return bundle
}

func TestRegisterIsIdempotent(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	first := w.register(c)
	if again := w.register(c); again != first {
		t.Errorf("registered again as %v, was %v", again, first)
	}
	other := c
	other.Mark = mark("other")
	if strange := w.register(other); strange.ClusterID == first.ClusterID {
		t.Error("a cluster of the same name with another mark was adopted")
	}
	w.must(w.engine.Remove(t.Context(), c.Mark))
	if left := w.service.Clusters(); len(left) != 1 {
		t.Errorf("after Remove of one mark, %q are left, want the other", left)
	}
}

// The infra env that a killed Remove leaves behind is found by its name.
func TestRemoveAfterHalfARemove(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.api("DELETE", "/clusters/"+ref.ClusterID)
	refs, err := w.engine.Find(t.Context(), mark(""))
	w.must(err)
	if diff := cmp.Diff([]installer.Ref{{InfraEnvID: ref.InfraEnvID}}, refs); diff != "" {
		t.Errorf("Find (-want +got):\n%s", diff)
	}
	for range 2 {
		w.must(w.engine.Remove(t.Context(), mark("")))
	}
	if left := w.service.InfraEnvs(); len(left) > 0 {
		t.Errorf("Remove leaves %q", left)
	}
}

func TestRemoveEndsAnInstallation(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.boot(c, ref)
	w.until("ready", c, ref, reached(installer.Ready))
	w.must(w.engine.Install(t.Context(), ref))
	w.must(w.engine.Remove(t.Context(), c.Mark))
	if w.wire.count("POST", "/api/assisted-install/v2/clusters/"+ref.ClusterID+"/actions/cancel") != 1 {
		t.Error("a running installation was not cancelled first")
	}
	if left := append(w.service.Clusters(), w.service.InfraEnvs()...); len(left) > 0 {
		t.Errorf("Remove leaves %q", left)
	}
	w.must(w.engine.Remove(t.Context(), provider.Mark{Cluster: "absent.lab.test"}))
}
