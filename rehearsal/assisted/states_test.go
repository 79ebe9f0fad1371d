package assisted

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/rehearsal/assisted/assistedtest"
)

func TestInstallation(t *testing.T) {
	f := newFleet(t)
	f.install()
	c := f.view()
	var bootstrap, masters int
	for _, h := range c.Hosts {
		want := map[bool][]string{true: bootstrapStages, false: workerStages}[h.Bootstrap]
		if h.Role == "master" && !h.Bootstrap {
			want = masterStages
		}
		if diff := cmp.Diff(want, h.Stages); diff != "" {
			t.Errorf("stages of %s (-want +got):\n%s", h.ID, diff)
		}
		if h.Bootstrap {
			bootstrap++
		}
		if h.Role == "master" {
			masters++
		}
	}
	if bootstrap != 1 || masters != 3 {
		t.Errorf("%d bootstrap of %d masters", bootstrap, masters)
	}
	if code, answer := f.call("POST", "/clusters/"+f.cluster+"/actions/install", nil); code != 409 {
		t.Errorf("install again: %d: %s", code, answer)
	}
	for _, a := range f.agents {
		f.must(a.Join(t.Context()))
	}
	f.until("finalizing", status("finalizing"))
	if code, _ := f.call("GET", "/clusters/"+f.cluster+"/credentials", nil); code != 409 {
		t.Errorf("credentials without console: %d", code)
	}
	f.must(f.agents[0].Available(t.Context(), f.cluster, "console"))
	f.must(f.agents[0].Available(t.Context(), f.cluster, "cvo"))
	c = f.until("installed", status("installed"))
	if c.StatusInfo != "Cluster is installed" || c.Progress.Total != 100 {
		t.Errorf("%+v", c)
	}
	wantRefusal(t, f.agents[0].Register(t.Context()), 409, "Fix the boot order and reboot the host")
}

// The controller may end the finalizing itself, well or badly.
func TestCompleteInstallation(t *testing.T) {
	for want, body := range map[string]object{
		"installed": {"is_success": true},
		"error":     {"is_success": false, "error_info": "operators are degraded"},
	} {
		f := newFleet(t)
		path := "/clusters/" + f.cluster + "/actions/complete-installation"
		if code, _ := f.call("POST", path, body); code != 409 {
			t.Errorf("before the installation: %d", code)
		}
		f.install()
		for _, a := range f.agents {
			f.must(a.Join(t.Context()))
		}
		f.until("finalizing", status("finalizing"))
		if code, _ := f.call("POST", path, object{}); code != 422 {
			t.Errorf("without is_success: %d", code)
		}
		if code, answer := f.call("POST", path, body); code != 202 {
			t.Errorf("complete: %d: %s", code, answer)
		}
		f.until(want, status(want))
	}
}

// Any control plane host that fails is fatal; of workers two must survive
// when two or more are wanted.
func TestEnough(t *testing.T) {
	for _, test := range []struct {
		masters, workers, failed int
		want                     bool
	}{
		{3, 0, 0, true}, {3, 1, 1, true}, {3, 2, 0, true}, {3, 2, 1, false}, {3, 3, 1, true}, {3, 3, 2, false},
	} {
		c := &cluster{}
		for range test.masters {
			c.Hosts = append(c.Hosts, &host{Role: "master", Status: "installed"})
		}
		for i := range test.workers {
			c.Hosts = append(c.Hosts, &host{Role: "worker", Status: map[bool]string{true: "error", false: "installed"}[i < test.failed]})
		}
		if got := c.enough("installed"); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
		c.Hosts[0].Status = "error"
		if c.enough("installed") {
			t.Errorf("%+v: enough without a master", test)
		}
	}
}

func wantRefusal(t *testing.T, err error, status int, words string) {
	t.Helper()
	var refused *assistedtest.Refusal
	if !errors.As(err, &refused) || refused.Status != status || !strings.Contains(refused.Body, words) {
		t.Errorf("%v, want status %d: %s", err, status, words)
	}
}

func TestWrongBootOrder(t *testing.T) {
	f := newFleet(t)
	f.install()
	f.must(f.agents[4].Register(t.Context()))
	c := f.until("pending user action", status("installing-pending-user-action"))
	i := slices.IndexFunc(c.Hosts, func(h hostView) bool { return h.Status == "installing-pending-user-action" })
	if i < 0 || !strings.HasPrefix(c.Hosts[i].StatusInfo, wrongBoot) {
		t.Errorf("%+v", c.Hosts)
	}
	wantRefusal(t, f.agents[4].Register(t.Context()), 403, "Host is required to be booted from disk /dev/sda")
	f.must(f.agents[4].Report(t.Context(), "Configuring", ""))
	f.until("installing again", status("installing"))
}

func TestRestartDuringInstallationIsFatal(t *testing.T) {
	f := newFleet(t)
	f.until("ready", status("ready"))
	f.call("POST", "/clusters/"+f.cluster+"/actions/install", nil)
	f.until("rebooting", func(c *clusterView) bool { return c.Hosts[0].Progress.Stage == "Rebooting" })
	f.must(f.agents[0].Report(t.Context(), "Configuring", ""))
	f.must(f.agents[0].Register(t.Context()))
	c := f.until("error", status("error"))
	if strings.HasPrefix(c.CompletedAt, "0001") {
		t.Error("install_completed_at is not set for a failed installation, as it really is")
	}
}

func TestStagesOnlyRise(t *testing.T) {
	f := newFleet(t)
	wantRefusal(t, f.agents[0].Report(t.Context(), "Installing", ""), 409, "Can't set progress <Installing> to host in status")
	f.install()
	wantRefusal(t, f.agents[0].Report(t.Context(), "Installing", ""), 409, `Can't assign lower stage \"Installing\" after host has been in stage \"Rebooting\"`)
	wantRefusal(t, f.agents[0].Report(t.Context(), "Waiting for ignition", ""), 409, "isn't available for host role")
	wantRefusal(t, f.agents[0].Report(t.Context(), "Sleeping", ""), 422, "should be one of")
}

func TestCancel(t *testing.T) {
	f := newFleet(t)
	path := "/clusters/" + f.cluster + "/actions/"
	if code, _ := f.call("POST", path+"cancel", nil); code != 409 {
		t.Errorf("cancel before install: %d", code)
	}
	f.until("ready", status("ready"))
	f.call("POST", path+"install", nil)
	if code, _ := f.call("POST", path+"cancel", nil); code != 202 || f.view().Status != "ready" {
		t.Errorf("cancel while preparing: %d, %s", code, f.view().Status)
	}
	f.install()
	if code, _ := f.call("POST", path+"cancel", nil); code != 202 {
		t.Errorf("cancel while installing: %d", code)
	}
	if c := f.view(); c.Status != "cancelled" || !hosts("cancelled")(c) || strings.HasPrefix(c.CompletedAt, "0001") {
		t.Errorf("%+v", c)
	}
}

func TestSlowDiskFailsThePreparation(t *testing.T) {
	f := newFleet(t)
	for _, a := range f.agents {
		a.Sync = 11
	}
	f.until("ready", status("ready"))
	f.call("POST", "/clusters/"+f.cluster+"/actions/install", nil)
	f.until("back from preparing", func(c *clusterView) bool {
		return c.StatusInfo == "Cluster failed to prepare for installation" || c.Status == "insufficient"
	})
	c := f.until("blamed", func(c *clusterView) bool {
		return slices.ContainsFunc(c.Hosts, func(h hostView) bool { return h.row("sufficient-installation-disk-speed").Status == failure })
	})
	if !strings.HasPrefix(c.CompletedAt, "0001") {
		t.Error("a failed preparation completes nothing")
	}
}

// Each of these keeps a host from being known, by the row named.
func TestValidations(t *testing.T) {
	tests := []struct {
		name   string
		change func(a, other *assistedtest.Agent)
		id     string
		status string
	}{
		{"named localhost", func(a, _ *assistedtest.Agent) { a.Hostname = "localhost" }, "hostname-valid", failure},
		{"named in upper case", func(a, _ *assistedtest.Agent) { a.Hostname = "Host" }, "hostname-valid", failure},
		{"named like another", func(a, o *assistedtest.Agent) { a.Hostname = o.Hostname }, "hostname-unique", failure},
		{"has the address of another", func(a, o *assistedtest.Agent) { a.Address = o.Address }, "no-ip-collisions-in-network", failure},
		{"one CPU", func(a, _ *assistedtest.Agent) { a.CPUs = 1 }, "has-min-cpu-cores", failure},
		{"four GiB", func(a, _ *assistedtest.Agent) { a.Memory = 4096 }, "has-min-memory", failure},
		{"a small disk", func(a, _ *assistedtest.Agent) { a.Disk = 99 }, "has-min-valid-disks", failure},
		{"no names", func(a, _ *assistedtest.Agent) { a.Resolve = func(string) []string { return nil } }, "api-int-domain-name-resolved-correctly", failure},
		{"a wildcard", func(a, _ *assistedtest.Agent) { a.Resolve = func(string) []string { return []string{"192.0.2.1"} } }, "dns-wildcard-not-configured", failure},
		{"a clock that is behind", func(a, _ *assistedtest.Agent) {
			a.Clock = func() time.Time { return time.Now().Add(-time.Hour) }
		}, "time-synced-between-host-and-service", failure},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			test.change(f.agents[0], f.agents[1])
			c := f.until(test.id, func(c *clusterView) bool {
				return c.Hosts[0].row(test.id).Status == test.status && c.Hosts[0].Status == "insufficient"
			})
			if c.Status != "insufficient" {
				t.Errorf("cluster is %s", c.Status)
			}
		})
	}
}

func TestMastersMustBeExact(t *testing.T) {
	f := newFleet(t)
	f.until("ready", status("ready"))
	path := "/infra-envs/" + f.infraEnv + "/hosts/"
	for _, a := range []int{0, 1, 2, 4} { // a role that is not set gives way
		if code, answer := f.call("PATCH", path+f.agents[a].ID, object{"host_role": "master"}); code != 201 {
			t.Fatalf("PATCH: %d: %s", code, answer)
		}
	}
	if c := f.view(); c.Status != "insufficient" || !strings.Contains(c.Validations, "The cluster must have exactly 3 dedicated control plane nodes") {
		t.Errorf("with four masters: %s", c.Status)
	}
	code, answer := f.call("POST", "/clusters/"+f.cluster+"/actions/install", nil)
	if code != 409 || !strings.Contains(string(answer), "validation_info=") {
		t.Errorf("install: %d: %s", code, answer)
	}
	f.call("PATCH", path+f.agents[4].ID, object{"host_role": "worker"})
	f.until("ready again", status("ready"))
}

func TestPatchHost(t *testing.T) {
	f := newFleet(t)
	f.until("known", hosts("known"))
	path := "/infra-envs/" + f.infraEnv + "/hosts/" + f.agents[0].ID
	for _, test := range []struct {
		body   object
		status int
	}{
		{object{"host_name": "control-0.mycluster.lab.test"}, 201},
		{object{"host_name": "localhost"}, 400},
		{object{"host_name": "Control"}, 400},
		{object{"host_role": "king"}, 422},
		{object{"disks_selected_config": []any{object{"id": "/dev/disk/by-id/absent", "role": "install"}}}, 409},
		{object{"disks_selected_config": []any{object{"id": "/dev/sr0", "role": "install"}}}, 409},
		{object{"disks_selected_config": []any{object{"id": "/dev/disk/by-id/scsi-0QEMU_11111111", "role": "install"}}}, 201},
	} {
		if code, answer := f.call("PATCH", path, test.body); code != test.status {
			t.Errorf("PATCH %v: %d: %s", test.body, code, answer)
		}
	}
	f.install()
	if code, _ := f.call("PATCH", path, object{"host_name": "late.lab.test"}); code != 409 {
		t.Errorf("a new name while installing: %d", code)
	}
	late := *f.agents[0]
	late.ID = "99999999-0000-4000-8000-000000000000"
	wantRefusal(t, late.Register(t.Context()), 409, "Host can register only in one of the following states")
}

func TestSilentHostIsDisconnected(t *testing.T) {
	f := newFleet(t)
	f.until("known", hosts("known"))
	f.service.locked(func() {
		h := f.service.infraEnvs[f.infraEnv].hosts[f.agents[0].ID]
		h.CheckedInAt = timestamp{time.Now().Add(-time.Hour)}
		f.service.refreshHost(h, time.Now())
	})
	if got := f.view().Hosts[0].Status; got != "disconnected" {
		t.Errorf("a host that was silent for an hour is %s", got)
	}
	f.until("known again", hosts("known"))
}

// Files exist from the state installing on.
func TestFiles(t *testing.T) {
	f := newFleet(t)
	f.until("ready", status("ready"))
	files := map[string]int{
		"/downloads/files?file_name=bootstrap.ign":              200,
		"/downloads/files?file_name=worker.ign":                 200,
		"/downloads/files?file_name=absent.ign":                 422,
		"/downloads/credentials?file_name=kubeconfig":           200,
		"/downloads/credentials?file_name=kubeconfig-noingress": 200,
		"/downloads/credentials?file_name=kubeadmin-password":   200,
		"/downloads/credentials?file_name=id_ed25519":           422,
	}
	host := f.view().Hosts[0]
	files["/downloads/files?file_name="+host.Role+"-"+host.ID+".ign"] = 422 // stored so, not served so
	for path, want := range files {
		if code, _ := f.call("GET", "/clusters/"+f.cluster+path, nil); code != early(want) {
			t.Errorf("before the installation %s answers %d", path, code)
		}
	}
	f.install()
	for path, want := range files {
		if code, answer := f.call("GET", "/clusters/"+f.cluster+path, nil); code != want {
			t.Errorf("%s: %d: %s", path, code, answer)
		}
	}
}

// early is what is answered in the place of status before files exist.
func early(status int) int {
	if status == 200 {
		return 409
	}
	return status
}

func TestEvents(t *testing.T) {
	f := newFleet(t)
	f.until("ready", status("ready"))
	var events []struct{ Name, Message string }
	f.get("/events?cluster_id="+f.cluster+"&limit=1", &events)
	if len(events) != 1 || events[0].Name != "cluster_registration_succeeded" {
		t.Errorf("first event: %v", events)
	}
	f.get("/events?host_id="+f.agents[0].ID+"&order=descending", &events)
	if len(events) < 3 || !strings.HasPrefix(events[0].Message, "Host host-1.lab.test: updated status from ") {
		t.Errorf("events of a host: %v", events)
	}
}
