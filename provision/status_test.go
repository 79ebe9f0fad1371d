package provision

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/installer"
)

// sight is an installer that is looked at.
type sight struct {
	installer.Installer
	progress installer.Progress
	err      error
}

func (s sight) Look(context.Context, installer.Cluster, installer.Ref) (installer.Progress, error) {
	return s.progress, s.err
}

// While there is no API to ask, the installer says where every node stands and
// what stands in the way.
func TestStatusOfAnInstallation(t *testing.T) {
	p := simulate(t.TempDir(), "c", 3, 7).Project
	p.installer = sight{progress: installer.Progress{State: installer.Failed, Percent: 43, Info: "hosts in error",
		Hosts: []installer.HostProgress{
			{Node: "control-0", Seen: true, State: "installing-in-progress", Stage: "Writing image to disk"},
			{Node: "control-1"},
			{Node: "control-2", Seen: true, State: "error", Stage: "Rebooting", Failed: true, Info: "it hung"},
		},
		Blocking: []installer.Finding{{Node: "control-1", ID: "ntp-synced", Message: "no time"}, {ID: "api-vips-defined", Message: "none"}}}}
	got := Status{Nodes: make([]NodeStatus, len(p.cluster.Nodes))}
	p.installStatus(t.Context(), &got, installer.Ref{})
	want := Status{Nodes: make([]NodeStatus, len(p.cluster.Nodes)), Installation: "failed, 43%: hosts in error",
		Wrong: []string{"control-2: it hung", "control-1 ntp-synced: no time", "api-vips-defined: none"}}
	want.Nodes[0].Stage, want.Nodes[2].Stage = "Writing image to disk", "error: it hung"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	p.installer = sight{err: errors.New("connection refused")}
	got = Status{}
	p.installStatus(t.Context(), &got, installer.Ref{})
	if got.Installation != "connection refused" || got.Wrong != nil {
		t.Errorf("an installer that does not answer: %+v", got)
	}
}
