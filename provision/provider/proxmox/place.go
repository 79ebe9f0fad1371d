package proxmox

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// A site is a node as a place for one more machine.
type site struct {
	name   string
	full   bool  // it is known that the machine does not fit
	kin    int   // machines there that differ from it in their number only
	room   int64 // bytes of memory that are free and not allotted; 0: not told
	guests int
}

// place chooses the node for m: one where it fits, then one with the fewest
// of its kind (unless they need not be spread), then the one with most room,
// or, where the token may not see the sizes of nodes, with the fewest guests.
// The caller holds p.mu.
func (p *Provider) place(m provider.Machine, land landscape) string {
	together := m.Spread == provider.SpreadNone
	return slices.MinFunc(p.sites(m, land), func(a, b site) int {
		spread := cmp.Compare(a.kin, b.kin)
		if together {
			spread = 0
		}
		return cmp.Or(cmp.Compare(bit(a.full), bit(b.full)), spread,
			-cmp.Compare(a.room>>30, b.room>>30), cmp.Compare(a.guests, b.guests), cmp.Compare(a.name, b.name))
	}).name
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *Provider) sites(m provider.Machine, land landscape) []site {
	kin, guests, allotted := p.tally(m, land.guests)
	sites := make([]site, len(land.nodes))
	for i, node := range land.nodes {
		name := string(node.Name)
		s := site{name: name, kin: kin[name], guests: guests[name]}
		if node.Memory > 0 {
			s.room = max(0, int64(node.Memory-node.Used)-allotted[name])
			s.full = s.room < int64(m.Memory)*mebibyte || int64(m.CPUs) > int64(node.CPUs)
		}
		sites[i] = s
	}
	return sites
}

// tally counts, by node, the machines of m's kind, all guests, and the memory
// of machines that were allotted and do not run yet.
func (p *Provider) tally(m provider.Machine, seen []guest) (kin, all map[string]int, memory map[string]int64) {
	kin, all, memory = make(map[string]int), make(map[string]int), make(map[string]int64)
	count := func(name, node string) {
		all[node]++
		kin[node] += bit(alike(name, m.Name))
	}
	runs := make(map[string]bool)
	for _, g := range seen {
		runs[string(g.Name)] = g.Status == "running"
		if _, twice := p.allotted[string(g.Name)]; !twice && string(g.Name) != m.Name {
			count(string(g.Name), string(g.Node))
		}
	}
	for _, other := range p.allotted {
		count(other.Name, other.Place)
		if !runs[other.Name] {
			memory[other.Place] += int64(other.Memory) * mebibyte
		}
	}
	return kin, all, memory
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

	Fingerprint text `json:"ssl_fingerprint"` // of its certificate
}

func (p *Provider) pveNodes(ctx context.Context) ([]pveNode, error) {
	var all []pveNode
	seen := time.Now()
	if err := p.api.get(ctx, "/nodes", &all); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b pveNode) int { return cmp.Compare(a.Name, b.Name) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes = nodesSeen{all, seen}
	return all, nil
}

type nodesSeen struct {
	all  []pveNode
	seen time.Time
}

// placeable lists the nodes that are online and, if any are named, named.
// What was asked for a moment ago is not asked for again.
func (p *Provider) placeable(ctx context.Context) ([]pveNode, error) {
	p.mu.Lock()
	known := p.nodes
	p.mu.Unlock()
	if time.Since(known.seen) > p.pace.Scale(landscapeAge) {
		if _, err := p.pveNodes(ctx); err != nil {
			return nil, err
		}
		p.mu.Lock()
		known = p.nodes
		p.mu.Unlock()
	}
	all := slices.DeleteFunc(slices.Clone(known.all), func(node pveNode) bool {
		named := len(p.cfg.Nodes) == 0 || slices.Contains(p.cfg.Nodes, string(node.Name))
		return !named || node.Status != "online"
	})
	if len(all) == 0 {
		return nil, hint.With(fmt.Errorf("no node is online of those wanted (%s)", strings.Join(p.cfg.Nodes, ", ")),
			"see `pvecm status` on the endpoint, or change nodes")
	}
	return all, nil
}
