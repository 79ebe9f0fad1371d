package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// oldest is the first supported major version: SDN.Use and the status codes
// relied upon are its.
const oldest = 8

// A survey is what Check has learned.
type survey struct {
	want     provider.Request
	token    apiToken
	nodes    []pveNode               // that machines may be placed on
	storages map[string][]pveStorage // by node
	bridges  map[string][]string     // by node
	guests   []guest
	rights   rights
	here     map[string]bool // full names of wanted machines that are there already
	problems []provider.Problem
}

func (s *survey) fatal(advice, what string, args ...any) {
	s.problems = append(s.problems, provider.Problem{What: fmt.Sprintf(what, args...), Hint: advice, Fatal: true})
}

func (s *survey) warn(advice, what string, args ...any) {
	s.problems = append(s.problems, provider.Problem{What: fmt.Sprintf(what, args...), Hint: advice})
}

func (s *survey) failed(err error) {
	if err != nil {
		s.problems = append(s.problems, provider.Problem{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err})
	}
}

// Check asks for everything that would fail later: PVE itself reports a
// missing bridge at the start of a machine, a missing right in the middle of
// a task. Without an answer to the first question it asks no other.
func (p *Provider) Check(ctx context.Context, want provider.Request) []provider.Problem {
	s := &survey{want: want, here: make(map[string]bool)}
	if !p.checkVersion(ctx, s) || !p.checkNodes(ctx, s) {
		return s.problems
	}
	if err := p.explore(ctx, s); err != nil {
		s.failed(err)
		return s.problems
	}
	p.checkStorages(s)
	p.checkBridges(ctx, s)
	p.checkRights(s)
	p.checkGuests(ctx, s)
	p.checkRoom(ctx, s)
	return s.problems
}

// checkVersion makes the first call: address, trust and token are proven by it.
func (p *Provider) checkVersion(ctx context.Context, s *survey) bool {
	var version struct {
		Version text `json:"version"` // 8.4.1
	}
	err := p.api.get(ctx, "/version", &version)
	if err == nil {
		s.token, err = p.token()
	}
	if err != nil {
		p.unanswered(s, err)
		return false
	}
	major, _, _ := strings.Cut(string(version.Version), ".")
	n, err := strconv.Atoi(major)
	if err != nil || n < oldest {
		s.fatal(fmt.Sprintf("upgrade it to Proxmox VE %d or later", oldest), "%s runs Proxmox VE %s", p.api.host, version.Version)
		return false
	}
	return true
}

func (p *Provider) unanswered(s *survey, err error) {
	switch {
	case untrusted(err):
		var trust *UntrustedError
		errors.As(err, &trust)
		s.fatal(hint.Of(err), "%v", trust)
	case errors.Is(err, Unreachable):
		s.fatal("is the endpoint right and the node up? its web interface is at https://"+p.api.host,
			"Proxmox VE at %s does not answer: %v", p.api.host, errors.Unwrap(err))
	case errors.Is(err, Unauthorized):
		s.fatal(hint.Of(err), "the token is not valid at %s: %v", p.api.host, err)
	default:
		s.failed(err)
	}
}

// checkNodes finds the nodes that machines may be placed on.
func (p *Provider) checkNodes(ctx context.Context, s *survey) bool {
	all, err := p.pveNodes(ctx)
	if err != nil {
		s.failed(err)
		return false
	}
	for _, name := range p.cfg.Nodes {
		if !slices.ContainsFunc(all, func(n pveNode) bool { return string(n.Name) == name }) {
			s.fatal("there are: "+nodeList(all), "node %q is not part of the cluster at %s", name, p.api.host)
		}
	}
	for _, node := range all {
		named := slices.Contains(p.cfg.Nodes, string(node.Name))
		switch {
		case node.Status == "online" && (named || len(p.cfg.Nodes) == 0):
			s.nodes = append(s.nodes, node)
		case named:
			s.fatal("start it, or take it out of nodes", "node %q is %s", node.Name, node.Status)
		}
	}
	if len(s.nodes) == 0 && len(s.problems) == 0 {
		s.fatal("see `pvecm status` there", "no node of %s is online", p.api.host)
	}
	return len(s.nodes) > 0
}

func nodeList(nodes []pveNode) string {
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = string(node.Name)
	}
	return strings.Join(names, ", ")
}

// explore asks everything else that does not depend on answers.
func (p *Provider) explore(ctx context.Context, s *survey) error {
	storages, bridges := make([][]pveStorage, len(s.nodes)), make([][]string, len(s.nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i, node := range s.nodes {
		group.Go(func() (err error) { storages[i], err = p.storages(ctx, string(node.Name)); return err })
		group.Go(func() (err error) { bridges[i], err = p.bridges(ctx, string(node.Name), "any_bridge"); return err })
	}
	group.Go(func() (err error) { s.guests, err = p.guests(ctx); return err })
	group.Go(func() error { return p.api.get(ctx, "/access/permissions", &s.rights) })
	err := group.Wait()
	s.storages, s.bridges = make(map[string][]pveStorage), make(map[string][]string)
	for i, node := range s.nodes {
		s.storages[string(node.Name)], s.bridges[string(node.Name)] = storages[i], bridges[i]
	}
	return err
}

func (p *Provider) bridges(ctx context.Context, node, kind string) ([]string, error) {
	var all []struct {
		Name text `json:"iface"`
	}
	err := p.api.get(ctx, "/nodes/"+node+"/network?type="+kind, &all)
	names := make([]string, len(all))
	for i, bridge := range all {
		names[i] = string(bridge.Name)
	}
	return names, err
}

// wantedBridges lists the bridges of all wanted machines, sorted.
func (s *survey) wantedBridges() []string {
	var names []string
	for _, m := range s.want.Machines {
		for _, nic := range m.NICs {
			names = append(names, bridgeOf(nic))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkBridges looks among virtual networks, which not every version counts
// as bridges, before it complains.
func (p *Provider) checkBridges(ctx context.Context, s *survey) {
	for _, node := range s.nodes {
		name := string(node.Name)
		for _, bridge := range s.wantedBridges() {
			if slices.Contains(s.bridges[name], bridge) {
				continue
			}
			vnets, err := p.bridges(ctx, name, "vnet")
			if err != nil || !slices.Contains(vnets, bridge) {
				s.fatal(fmt.Sprintf("there are: %s; set bridge in the network block", strings.Join(s.bridges[name], ", ")),
					"bridge %q does not exist on node %q, or the token may not use it", bridge, name)
			}
		}
	}
}

// checkStorages looks for both storages on each node.
func (p *Provider) checkStorages(s *survey) {
	for _, node := range s.nodes {
		s.checkStorage(string(node.Name), p.cfg.Storage.Disk, "images", "disks", "disk")
		s.checkStorage(string(node.Name), p.cfg.Storage.ISO, "iso", "ISO images", "iso")
	}
}

func (s *survey) checkStorage(node, name, content, things, key string) {
	var fit []string
	for _, have := range s.storages[node] {
		switch {
		case have.takes(content) && bool(have.Active):
			fit = append(fit, string(have.Name))
		case string(have.Name) == name && have.takes(content):
			s.fatal(fmt.Sprintf("see `pvesm status` on node %s", node), "storage %q is not active on node %q", name, node)
			return
		case string(have.Name) == name:
			s.fatal(fmt.Sprintf("add it: pvesm set %s --content %s,%s", name, have.Content, content),
				"storage %q on node %q does not take %s", name, node, things)
			return
		}
	}
	if !slices.Contains(fit, name) {
		s.fatal(fmt.Sprintf("set storage = { %s = … } to one of: %s", key, strings.Join(fit, ", ")),
			"storage %q is not on node %q, or the token may not use it", name, node)
	}
}
