package assisted

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/installer"
)

// Poll looks once: one GET, and a PATCH for each host whose role, name or disk
// is not what was planned. Hosts lose these when they register again, so they
// are compared at every poll.
func (e *Engine) Poll(ctx context.Context, c installer.Cluster, ref installer.Ref) (installer.Progress, error) {
	seen, err := e.look(ctx, ref)
	if err != nil {
		return installer.Progress{}, fmt.Errorf("look at cluster %s: %w", c.FullName(), err)
	}
	changed, err := e.reconcile(ctx, c, seen.Hosts)
	if err != nil {
		return installer.Progress{}, err
	}
	p := e.progress(c, seen)
	if p.State == installer.Ready && changed {
		p.State = installer.Discovering
	}
	return p, nil
}

// Look looks once: one GET.
func (e *Engine) Look(ctx context.Context, c installer.Cluster, ref installer.Ref) (installer.Progress, error) {
	seen, err := e.look(ctx, ref)
	if err != nil {
		return installer.Progress{}, fmt.Errorf("look at cluster %s: %w", c.FullName(), err)
	}
	return e.progress(c, seen), nil
}

// progress is what was seen, with what stands against it.
func (e *Engine) progress(c installer.Cluster, seen cluster) installer.Progress {
	p := progressOf(c, seen)
	if p.State == installer.Discovering || p.State == installer.Ready { // later rows fail for hosts that are rebooting
		p.Blocking = e.blocking(c, seen)
	}
	if p.State == installer.Ready && !complete(p) {
		p.State = installer.Discovering
	}
	return p
}

func (e *Engine) look(ctx context.Context, ref installer.Ref) (cluster, error) {
	var seen cluster
	err := e.do(ctx, call{method: http.MethodGet, path: "/clusters/" + ref.ClusterID}, &seen)
	if is(err, http.StatusNotFound) {
		err = hint.With(err, "somebody deleted the cluster from the service; take down what is left and begin anew")
	}
	return seen, err
}

func progressOf(c installer.Cluster, seen cluster) installer.Progress {
	return installer.Progress{
		State:   stateOf(seen.Status),
		Percent: seen.Progress.Total,
		Info:    shorten(seen.StatusInfo),
		Stage:   seen.Progress.FinalizingStage,
		Hosts:   hostProgresses(c, seen.Hosts),
		Strange: strangers(c, seen.Hosts),
	}
}

func stateOf(status string) installer.State {
	switch status {
	case "ready":
		return installer.Ready
	case "preparing-for-installation", "installing", "installing-pending-user-action":
		return installer.Installing
	case "finalizing":
		return installer.Finalizing
	case "installed":
		return installer.Installed
	case "error", "cancelled":
		return installer.Failed
	}
	return installer.Discovering
}

// complete reports whether exactly the planned hosts are there and fit.
func complete(p installer.Progress) bool {
	unfit := func(h installer.HostProgress) bool { return !h.Fit }
	return len(p.Strange) == 0 && !slices.ContainsFunc(p.Hosts, unfit)
}

// planned finds the host that was planned with this host id.
func planned(c installer.Cluster, id string) (installer.Host, bool) {
	i := slices.IndexFunc(c.Hosts, func(h installer.Host) bool { return h.ID.String() == strings.ToLower(id) })
	if i < 0 {
		return installer.Host{}, false
	}
	return c.Hosts[i], true
}

// changeable are the states in which the service still takes role, name and
// disk.
var changeable = []string{"discovering", "known", "disconnected", "insufficient", "pending-for-input"}

// reconcile corrects hosts in place and reports whether any was changed.
func (e *Engine) reconcile(ctx context.Context, c installer.Cluster, hosts []host) (changed bool, err error) {
	for i, h := range hosts {
		want, ours := planned(c, h.ID)
		if !ours || h.Inventory == "" || !slices.Contains(changeable, h.Status) {
			continue
		}
		update, needed := difference(h, want)
		if !needed {
			continue
		}
		changed = true
		path := "/infra-envs/" + h.InfraEnvID + "/hosts/" + h.ID
		err := e.do(ctx, call{method: http.MethodPatch, path: path, body: update}, &hosts[i])
		if err != nil && !is(err, http.StatusConflict, http.StatusNotFound) { // it has moved on: the next poll compares again
			return changed, fmt.Errorf("set role, name and disk of %s: %w", want.Node, err)
		}
	}
	return changed, nil
}

var roles = map[installer.Role]string{installer.ControlPlane: "master", installer.Worker: "worker"}

func difference(h host, want installer.Host) (update hostUpdate, needed bool) {
	if h.Role != roles[want.Role] {
		update.Role = roles[want.Role]
	}
	if h.Hostname != want.Hostname {
		update.Name = want.Hostname
	}
	if id := installDisk(h); id != h.DiskID {
		update.Disks = []diskChoice{{id, "install"}}
	}
	return update, update.Role != "" || update.Name != "" || update.Disks != nil
}

// installDisk is the disk already chosen while it is eligible, else the first
// eligible one; with none of them the choice stays as it is.
func installDisk(h host) string {
	var eligible []string
	for _, d := range h.seen().Disks {
		if d.Eligibility.Eligible {
			eligible = append(eligible, d.ID)
		}
	}
	if len(eligible) == 0 || slices.Contains(eligible, h.DiskID) {
		return h.DiskID
	}
	return eligible[0]
}

func hostProgresses(c installer.Cluster, hosts []host) []installer.HostProgress {
	list := make([]installer.HostProgress, len(c.Hosts))
	for i, want := range c.Hosts {
		list[i] = installer.HostProgress{Node: want.Node}
		for _, h := range hosts {
			if strings.EqualFold(h.ID, want.ID.String()) {
				list[i] = hostProgressOf(want, h)
			}
		}
	}
	return list
}

// Stages after the live system has been left, in which media may be ejected.
var rebooted = []string{"Rebooting", "Waiting for ignition", "Configuring", "Joined", "Done"}

var fit = []string{
	"known", "preparing-for-installation", "preparing-successful",
	"installing", "installing-in-progress", "installed",
}

// collateral is what the service says of hosts that failed because another did.
const collateral = "Host is part of a cluster that failed to install"

func hostProgressOf(want installer.Host, h host) installer.HostProgress {
	return installer.HostProgress{
		Node:      want.Node,
		Seen:      true,
		Fit:       slices.Contains(fit, h.Status) && h.Role == roles[want.Role] && h.Hostname == want.Hostname,
		State:     h.Status,
		Stage:     h.Progress.Stage,
		Percent:   h.Progress.Percentage,
		Info:      infoOf(h),
		Rebooted:  slices.Contains(rebooted, h.Progress.Stage),
		WrongBoot: h.Status == "installing-pending-user-action",
		Done:      h.Status == "installed",
		Failed:    h.Status == "error" && !strings.HasPrefix(h.StatusInfo, collateral),
		Address:   addressOf(want, h.seen()),
	}
}

// infoOf is what the service says of a host: while it is at work, of that too.
func infoOf(h host) string {
	if h.Status == "error" {
		return shorten(h.StatusInfo)
	}
	return shorten(strings.TrimSpace(h.Progress.Info + " " + h.StatusInfo))
}

// addressOf is the host's first IPv4 address on its first planned interface.
func addressOf(want installer.Host, seen inventory) netip.Addr {
	for _, i := range seen.Interfaces {
		if len(want.NICs) == 0 || !strings.EqualFold(i.MAC, want.NICs[0].MAC) {
			continue
		}
		for _, text := range i.IPv4 {
			if p, err := netip.ParsePrefix(text); err == nil && !p.Addr().IsLinkLocalUnicast() {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}

// strangers describes the hosts that nobody planned, so that they can be
// found: another machine booted our image.
func strangers(c installer.Cluster, hosts []host) []string {
	var list []string
	for _, h := range hosts {
		if _, ours := planned(c, h.ID); !ours {
			list = append(list, describe(h))
		}
	}
	return list
}

func describe(h host) string {
	seen := h.seen()
	words := []string{h.ID}
	if seen.Hostname != "" {
		words = append(words, seen.Hostname)
	}
	for _, n := range seen.Interfaces {
		words = append(words, strings.TrimSpace(n.MAC+" "+strings.Join(n.IPv4, " ")))
	}
	return shorten(strings.Join(words, ", "))
}
