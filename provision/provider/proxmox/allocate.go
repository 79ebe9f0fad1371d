package proxmox

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// Allocate chooses a free VMID and a node for m. The id follows from the
// cluster and the node's name, so that two runs seldom want the same one; it
// reserves nothing, for PVE itself has no way to.
func (p *Provider) Allocate(ctx context.Context, m provider.Machine, avoid []string) (provider.Machine, error) {
	land, err := p.landscape(ctx, m)
	if err != nil {
		return m, fmt.Errorf("allocate machine %s: %w", m.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.allotted, m.Name)
	vmid, ok := p.freeVMID(m, land.guests, avoid)
	if !ok {
		return m, hint.With(fmt.Errorf("allocate machine %s: no VMID of %s is free", m.Name, p.cfg.VMIDs),
			"give a wider vmid_range, or remove what is no longer used")
	}
	m.ID, m.Place = strconv.Itoa(vmid), p.place(m, land)
	p.allotted[m.Name] = m
	p.fresh[m.Name] = !slices.ContainsFunc(land.guests, func(g guest) bool { return p.maybe(g, m) })
	return m, nil
}

// A landscape is what ids and nodes are chosen by. It may be a little old:
// that an id is free is only known when it has been taken.
type landscape struct {
	nodes  []pveNode
	guests []guest
	seen   time.Time
}

const landscapeAge = 10 * time.Second

// landscape asks again when what is known is old, or has just led to an id of
// m that was not free.
func (p *Provider) landscape(ctx context.Context, m provider.Machine) (land landscape, err error) {
	p.mu.Lock()
	land = p.land
	_, again := p.allotted[m.Name]
	p.mu.Unlock()
	if !again && time.Since(land.seen) < p.pace.Scale(landscapeAge) {
		return land, nil
	}
	land.seen = time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { land.nodes, err = p.placeable(ctx); return err })
	group.Go(func() (err error) { land.guests, err = p.guests(ctx); return err })
	if err = group.Wait(); err == nil {
		p.mu.Lock()
		p.land = land
		p.mu.Unlock()
	}
	return land, err
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
