package pve

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUPIDsHaveTheRealFormat(t *testing.T) {
	l := newLab(t, nil)
	upid, _ := l.call("POST", "/nodes/pve/qemu", sound("100")...).Data.(string)
	if !upidFormat.MatchString(upid) {
		t.Errorf("%s does not have the format", upid)
	}
	for _, wrong := range []string{"", "UPID", "UPID:pve:1:2:3:qmcreate:100:u@pve:", strings.TrimSuffix(upid, ":"), upid + "x", strings.Replace(upid, "pve", "p_e", 1)} {
		if upidFormat.MatchString(wrong) {
			t.Errorf("%q is taken for a UPID", wrong)
		}
	}
}

func TestTasksThatAreNotThere(t *testing.T) {
	l := newLab(t, threeNodes)
	upid := l.call("POST", "/nodes/pve/qemu", sound("100")...).Data.(string)
	l.await(reply{Data: upid})
	status := func(node, upid string) string {
		r := l.call("GET", "/nodes/"+node+"/tasks/"+upid+"/status")
		return strings.TrimSpace(strings.Fields(r.Status)[0] + " " + r.Errors["upid"])
	}
	cases := []struct{ name, got, want string }{
		{"known", status("pve", upid), "200"},
		{"on another node", status("pve2", upid), "400 no such task"},
		{"unknown", status("pve", strings.Replace(upid, "qmcreate", "qmdelete", 1)), "400 no such task"},
		{"no UPID", status("pve", "UPID:x"), "400 unable to parse worker upid"},
	}
	l.srv.ForgetTasks("pve")
	cases = append(cases, struct{ name, got, want string }{"expired", status("pve", upid), "400 no such task"})
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestTaskLists(t *testing.T) {
	l := newLab(t, func(c *Config) {
		c.Tokens = append(c.Tokens, Token{ID: "other@pve!tok", Secret: secret, ACL: adminRights})
	})
	other := *l
	other.auth = "PVEAPIToken=other@pve!tok=" + secret
	l.machine()
	l.task("POST", "/nodes/pve/qemu/100/status/start")
	l.task("POST", "/nodes/pve/qemu/100/status/start") // fails
	other.task("POST", "/nodes/pve/qemu", "vmid", "101")
	l.inject("task-warns,task=qmstop,times=1")
	l.task("POST", "/nodes/pve/qemu/100/status/stop")
	l.inject("task-slow,task=qmdestroy,delay=1000h")
	l.call("DELETE", "/nodes/pve/qemu/100")
	list := func(params ...string) (found []string) {
		for _, task := range pick(l.as("admin").call("GET", "/nodes/pve/tasks", params...).Data, "type", "status") {
			found = append(found, task["type"].(string)+" "+task["status"].(string))
		}
		return found
	}
	cases := []struct {
		params []string
		want   []string
	}{
		{nil, []string{"qmstop WARNINGS: 1", "qmcreate OK", "qmstart VM 100 already running", "qmstart OK", "qmcreate OK"}},
		{[]string{"source", "active"}, []string{"qmdestroy RUNNING"}},
		{[]string{"source", "all", "limit", "2"}, []string{"qmdestroy RUNNING", "qmstop WARNINGS: 1"}},
		{[]string{"start", "3", "limit", "1"}, []string{"qmstart OK"}},
		{[]string{"typefilter", "qmcreate"}, []string{"qmcreate OK", "qmcreate OK"}},
		{[]string{"vmid", "101"}, []string{"qmcreate OK"}},
		{[]string{"userfilter", "OTHER"}, []string{"qmcreate OK"}},
		{[]string{"errors", "1"}, []string{"qmstop WARNINGS: 1", "qmstart VM 100 already running"}},
		{[]string{"statusfilter", "warning,error"}, []string{"qmstop WARNINGS: 1", "qmstart VM 100 already running"}},
		{[]string{"since", "4000000000"}, nil},
		{[]string{"until", "1"}, nil},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, list(c.params...)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.params, diff)
		}
	}
	if own := pick(l.call("GET", "/nodes/pve/tasks", "vmid", "101").Data, "type"); len(own) != 0 {
		t.Errorf("a token sees the tasks of others: %v", own)
	}
	all := pick(l.as("admin").call("GET", "/cluster/tasks").Data, "type", "status")
	want := map[string]any{"type": "qmdestroy"} // running ones have no status there
	if len(all) != 6 || !slices.ContainsFunc(all, func(e map[string]any) bool { return cmp.Equal(e, want) }) {
		t.Errorf("tasks of the cluster: %v", all)
	}
}

func TestAnAbortedTaskSaysSo(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Create = 1000 * time.Hour })
	create := l.call("POST", "/nodes/pve/qemu", sound("100")...)
	if got := l.as("none").call("DELETE", "/nodes/pve/tasks/"+create.Data.(string)).Status; got != "403 Permission check failed (/nodes/pve, Sys.Modify)" {
		t.Errorf("by somebody else: %s", got)
	}
	l.call("DELETE", "/nodes/pve/tasks/"+create.Data.(string))
	if got := l.await(create); got != "unable to create VM 100 - received interrupt" || len(l.srv.VMs()) != 0 {
		t.Errorf("exit %q, left %v", got, l.srv.VMs())
	}
}
