package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
	bridges  map[string][]pveBridge  // by node
	guests   []guest
	rights   rights
	release  string          // 8.4.1
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
	p.checkClock(s)
	p.checkCloud(s)
	p.checkStorages(s)
	p.checkBridges(ctx, s)
	p.checkRights(s)
	p.checkGuests(ctx, s)
	p.checkRoom(ctx, s)
	return s.problems
}

// checkVersion makes the first call: address, trust and token are proven by it.
func (p *Provider) checkVersion(ctx context.Context, s *survey) bool {
	var err error
	s.release, err = p.release(ctx)
	if err == nil {
		s.token, err = p.token()
	}
	if err != nil {
		p.unanswered(s, err)
		return false
	}
	major, _, _ := strings.Cut(s.release, ".")
	n, err := strconv.Atoi(major)
	if err != nil || n < oldest {
		s.fatal(fmt.Sprintf("upgrade it to Proxmox VE %d or later", oldest), "%s runs Proxmox VE %s", p.api.host, s.release)
		return false
	}
	return true
}

func (p *Provider) release(ctx context.Context) (string, error) {
	var version struct {
		Version text `json:"version"`
	}
	err := p.api.get(ctx, "/version", &version)
	return string(version.Version), err
}

// tolerable is how far a hypervisor's clock may be off: its machines begin
// with it, and the certificates of a bootstrap are valid from their second on.
const tolerable = 30 * time.Second

func (p *Provider) checkClock(s *survey) {
	skew := p.api.wire.clockSkew()
	if skew.Abs() > tolerable {
		way := "ahead of"
		if skew < 0 {
			way = "behind"
		}
		s.warn("set the clocks right on both: `timedatectl` there and here; machines start with the clock of their node",
			"the clock of %s is %s %s this host's", p.api.host, skew.Abs().Round(time.Second), way)
	}
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
	storages, bridges := make([][]pveStorage, len(s.nodes)), make([][]pveBridge, len(s.nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i, node := range s.nodes {
		group.Go(func() (err error) { storages[i], err = p.storages(ctx, string(node.Name)); return err })
		group.Go(func() (err error) { bridges[i], err = p.bridges(ctx, string(node.Name), "any_bridge"); return err })
	}
	group.Go(func() (err error) { s.guests, err = p.guests(ctx); return err })
	group.Go(func() error { return p.api.get(ctx, "/access/permissions", &s.rights) })
	err := group.Wait()
	s.storages, s.bridges = make(map[string][]pveStorage), make(map[string][]pveBridge)
	for i, node := range s.nodes {
		s.storages[string(node.Name)], s.bridges[string(node.Name)] = storages[i], bridges[i]
	}
	return err
}
