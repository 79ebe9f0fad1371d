package proxmox

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// Allocate chooses a free VMID and a node for m. The id follows from the
// cluster and the node's name, so that two runs seldom want the same one; it
// reserves nothing, for PVE itself has no way to.
func (p *Provider) Allocate(ctx context.Context, m provider.Machine, avoid []string) (provider.Machine, error) {
	nodes, err := p.placeable(ctx)
	if err != nil {
		return m, fmt.Errorf("allocate machine %s: %w", m.Name, err)
	}
	guests, err := p.guests(ctx)
	if err != nil {
		return m, fmt.Errorf("allocate machine %s: %w", m.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.allotted, m.Name)
	vmid, ok := p.freeVMID(m, guests, avoid)
	if !ok {
		return m, hint.With(fmt.Errorf("allocate machine %s: no VMID of %s is free", m.Name, p.cfg.VMIDs),
			"give a wider vmid_range, or remove what is no longer used")
	}
	m.ID, m.Place = strconv.Itoa(vmid), p.leastUsed(m, nodes, guests)
	p.allotted[m.Name] = m
	p.fresh[m.Name] = !slices.ContainsFunc(guests, func(g guest) bool { return p.maybe(g, m) })
	return m, nil
}

// maybe tells guests that may be m's under another id: those of its name, and
// those whose name is not told yet (names come seconds after ids).
func (p *Provider) maybe(g guest, m provider.Machine) bool {
	return string(g.Name) == m.Name || g.Name == "" && p.candidate(g)
}

// takeFresh reports, once, whether m's id was chosen a moment ago for a
// machine of which nothing can be there yet.
func (p *Provider) takeFresh(m provider.Machine) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := p.fresh[m.Name] && p.allotted[m.Name].ID == m.ID
	delete(p.fresh, m.Name)
	return fresh
}

// freeVMID walks the range from where the names point.
func (p *Provider) freeVMID(m provider.Machine, guests []guest, avoid []string) (int, bool) {
	used := make(map[string]bool)
	for _, g := range guests {
		used[strconv.Itoa(int(g.VMID))] = true
	}
	for _, other := range p.allotted {
		used[other.ID] = true
	}
	for _, id := range avoid {
		used[id] = true
	}
	size := p.cfg.VMIDs.Last - p.cfg.VMIDs.First + 1
	start := startOf(m, size)
	for i := range size {
		vmid := p.cfg.VMIDs.First + (start+i)%size
		if !used[strconv.Itoa(vmid)] {
			return vmid, true
		}
	}
	return 0, false
}

func startOf(m provider.Machine, size int) int {
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%s\x00%s", m.Mark.Cluster, m.Node)
	return int(sum.Sum64() % uint64(size))
}

// leastUsed spreads machines of one kind first (control-0, control-1), then
// evens out the number of guests.
func (p *Provider) leastUsed(m provider.Machine, nodes []string, guests []guest) string {
	kin, all := make(map[string]int), make(map[string]int)
	count := func(name, node string) {
		all[node]++
		if alike(name, m.Name) {
			kin[node]++
		}
	}
	for _, g := range guests {
		if _, twice := p.allotted[string(g.Name)]; !twice && string(g.Name) != m.Name {
			count(string(g.Name), string(g.Node))
		}
	}
	for _, other := range p.allotted {
		count(other.Name, other.Place)
	}
	return slices.MinFunc(nodes, func(a, b string) int {
		return cmp.Or(cmp.Compare(kin[a], kin[b]), cmp.Compare(all[a], all[b]), cmp.Compare(a, b))
	})
}

var nodeNumber = regexp.MustCompile(`-[^-.]*\.`)

// alike reports whether two full names differ in the node's index only.
func alike(a, b string) bool { return family(a) == family(b) }

func family(name string) string {
	at := nodeNumber.FindStringIndex(name)
	if at == nil {
		return strings.ToLower(name)
	}
	return strings.ToLower(name[:at[0]] + name[at[1]-1:])
}

// A pveNode is a line of GET /nodes. Sizes are told to tokens with Sys.Audit
// on the node only.
type pveNode struct {
	Name   text   `json:"node"`
	Status text   `json:"status"`
	CPUs   number `json:"maxcpu"` // threads
	Memory number `json:"maxmem"` // bytes
	Used   number `json:"mem"`    // bytes
}

func (p *Provider) pveNodes(ctx context.Context) ([]pveNode, error) {
	var all []pveNode
	err := p.api.get(ctx, "/nodes", &all)
	slices.SortFunc(all, func(a, b pveNode) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// placeable lists the nodes that are online and, if any are named, named.
func (p *Provider) placeable(ctx context.Context) ([]string, error) {
	all, err := p.pveNodes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, node := range all {
		named := len(p.cfg.Nodes) == 0 || slices.Contains(p.cfg.Nodes, string(node.Name))
		if named && node.Status == "online" {
			names = append(names, string(node.Name))
		}
	}
	if len(names) == 0 {
		return nil, hint.With(fmt.Errorf("no node is online of those wanted (%s)", strings.Join(p.cfg.Nodes, ", ")),
			"see `pvecm status` on the endpoint, or change nodes")
	}
	return names, nil
}
