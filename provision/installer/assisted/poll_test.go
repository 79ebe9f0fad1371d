package assisted_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/rehearsal/assisted/assistedtest"
)

// A machine that boots our image and was not planned is named, and nothing is
// ready while it is there.
func TestStranger(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.boot(c, ref)
	stranger := &assistedtest.Agent{
		URL: w.server.URL, InfraEnv: ref.InfraEnvID, ID: "99999999-9999-4999-8999-999999999999", Hostname: "toaster",
		MAC: "52:54:00:00:00:99", Address: "192.0.2.99/24", CPUs: 8, Memory: 16384, Disk: 250,
	}
	w.must(stranger.Register(t.Context()))
	w.agents = append(w.agents, stranger)
	want := []string{"99999999-9999-4999-8999-999999999999, toaster, 52:54:00:00:00:99 192.0.2.99/24"}
	p := w.until("all fit beside the stranger", c, ref, func(p installer.Progress) bool {
		return everyHost(func(h installer.HostProgress) bool { return h.Fit })(p) && strings.Contains(strings.Join(p.Strange, ""), "toaster")
	})
	if diff := cmp.Diff(want, p.Strange); diff != "" || p.State != installer.Discovering {
		t.Errorf("state %s, strange (-want +got):\n%s", p.State, diff)
	}
}

// A host that registers again has lost nothing it needs; one whose name was
// changed by somebody gets it back.
func TestPollCorrects(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.boot(c, ref)
	w.until("ready", c, ref, reached(installer.Ready))
	c.Hosts[0].Hostname = "renamed.mycluster.lab.test"
	w.until("not ready at once", c, ref, reached(installer.Discovering))
	w.must(w.agents[1].Register(t.Context()))
	w.until("ready again", c, ref, reached(installer.Ready))
	before := w.patches()
	w.until("ready still", c, ref, reached(installer.Ready))
	if after := w.patches(); after != before {
		t.Errorf("%d PATCH for hosts that are as planned", after-before)
	}
}

func (w *world) patches() int {
	n := 0
	for _, x := range w.wire.all() {
		if x.method == "PATCH" {
			n++
		}
	}
	return n
}

// A wildcard record stops the installation and is reported with its words,
// but only when it has failed for two rounds of the agents.
func TestBlocking(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.boot(c, ref)
	for _, a := range w.agents {
		a.Resolve = func(string) []string { return []string{"198.51.100.7"} }
	}
	var polls []int
	p := w.until("wildcard found", c, ref, func(p installer.Progress) bool {
		polls = append(polls, len(p.Blocking))
		return slices.ContainsFunc(p.Blocking, func(f installer.Finding) bool { return f.Node == "worker-1" })
	})
	i := slices.IndexFunc(p.Blocking, func(f installer.Finding) bool { return f.Node == "control-0" })
	want := installer.Finding{Node: "control-0", ID: "dns-wildcard-not-configured",
		Message: "DNS wildcard configuration was detected for domain *.mycluster.lab.test - the installation will not be able to complete while this record exists. Please remove it to proceed. The domain resolves to addresses 198.51.100.7, 198.51.100.7"}
	if i < 0 {
		t.Fatalf("nothing blocks control-0: %v", p.Blocking)
	}
	if diff := cmp.Diff(want, p.Blocking[i]); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
	if polls[0] != 0 {
		t.Errorf("the first poll already reports %d findings", polls[0])
	}
	err := w.engine.Install(t.Context(), ref)
	if refused(err) != 409 || len(err.Error()) > 450 || strings.ContainsAny(err.Error(), "{}") ||
		!strings.Contains(err.Error(), "all-hosts-are-ready-to-install: The cluster has hosts that are not ready to install.") {
		t.Errorf("Install: %v", err)
	}
	for _, a := range w.agents {
		a.Resolve = nil
	}
	w.until("ready once it is gone", c, ref, reached(installer.Ready))
}

// A host that boots the image again instead of its disk is told apart, and
// heals when it boots the disk.
func TestWrongBoot(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.boot(c, ref)
	w.until("ready", c, ref, reached(installer.Ready))
	w.must(w.engine.Install(t.Context(), ref))
	w.until("rebooted", c, ref, everyHost(func(h installer.HostProgress) bool { return h.Rebooted }))
	w.must(w.agents[3].Register(t.Context()))
	p := w.until("seen as a wrong boot", c, ref, func(p installer.Progress) bool { return p.Hosts[3].WrongBoot })
	if p.State != installer.Installing || p.Hosts[2].WrongBoot {
		t.Errorf("state %s, %+v", p.State, p.Hosts)
	}
	w.must(w.agents[3].Report(t.Context(), "Configuring", ""))
	w.until("healed", c, ref, func(p installer.Progress) bool { return !p.Hosts[3].WrongBoot && p.Hosts[3].Stage == "Configuring" })
}

func TestFailedInstallation(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.boot(c, ref)
	w.until("ready", c, ref, reached(installer.Ready))
	w.must(w.engine.Install(t.Context(), ref))
	w.until("installing", c, ref, func(p installer.Progress) bool { return p.Hosts[0].Stage != "" })
	w.must(w.agents[0].Report(t.Context(), "Failed", "disk is gone"))
	p := w.until("failed", c, ref, reached(installer.Failed))
	if p.Hosts[0].State != "error" || p.Info != "cluster has hosts in error" {
		t.Errorf("%+v", p)
	}
	p = w.until("every host that is not installed in error", c, ref, everyHost(func(h installer.HostProgress) bool {
		return h.State == "error" || h.State == "installed"
	}))
	for i, h := range p.Hosts { // all but one because of the first
		if h.Failed != (i == 0) || h.Failed && h.Info != "Failed - disk is gone" {
			t.Errorf("%+v", h)
		}
	}
}

func TestDeletedBehindOurBack(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.api("DELETE", "/clusters/"+ref.ClusterID)
	if _, err := w.engine.Poll(t.Context(), c, ref); refused(err) != 404 {
		t.Errorf("Poll: %v", err)
	}
}
