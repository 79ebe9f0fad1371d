package plan

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// scene is a cluster and a world of it, both by chance.
func scene(r *rand.Rand) (spec.Cluster, Observed) {
	c := cluster(1+r.IntN(5), r.IntN(12))
	o := []func(spec.Cluster) Observed{whole, building, func(spec.Cluster) Observed { return Observed{} }}[r.IntN(3)](c)
	o.Repairs, o.Image = r.IntN(2) == 0, r.IntN(2) == 0
	kept := o.Machines[:0]
	for _, m := range o.Machines {
		switch r.IntN(5) {
		case 0:
			continue
		case 1:
			m.Memory, m.Adrift = 1024, []string{"it has no disk"}
		case 2:
			m.Power = provider.PowerOff
		case 3:
			delete(o.Recorded, m.Node)
		}
		kept = append(kept, m)
	}
	for i := range r.IntN(3) {
		m := machine(c.Nodes[0], 900+i)
		m.Node, m.Name = "worker-99", "worker-99."+full
		kept = append(kept, m)
	}
	o.Machines = kept
	return c, o
}

// The order in which machines were found means nothing, nor does the run.
func TestMakeIsDeterministic(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		c, o := scene(r)
		want := Make(c, served(c), o)
		r.Shuffle(len(o.Machines), func(i, j int) { o.Machines[i], o.Machines[j] = o.Machines[j], o.Machines[i] })
		again := Make(c, served(c), o)
		if diff := cmp.Diff(want, again, sameAddrPort); diff != "" {
			t.Fatalf("seed %d: plans of one world differ:\n%s", seed, diff)
		}
		if moved := Moved(want, again); moved != nil {
			t.Fatalf("seed %d: a plan has moved away from itself: %q", seed, moved)
		}
	}
}

// apply does what `up` does of p, as far as o shows it.
func (o Observed) apply(c spec.Cluster, p Plan) Observed {
	o.Services, o.Served, o.Registered, o.Installed = true, serving(c), true, true
	recorded := map[string]bool{}
	machines := map[string]provider.Machine{}
	for _, m := range sorted(o.Machines) {
		if _, twice := machines[m.Name]; !twice {
			machines[m.Name] = m
		}
	}
	for i, n := range c.Nodes {
		recorded[n.Name] = true
		m, ok := machines[n.Full]
		if !ok || o.Repairs {
			m = machine(n, 200+i)
		}
		machines[n.Full] = m
	}
	o.Recorded, o.Machines = recorded, nil
	for _, m := range machines {
		o.Machines = append(o.Machines, m)
	}
	return o
}

// A plan that was carried out leaves nothing to do; carried out in part, it
// is still the plan, and never less than what is left.
func TestAppliedPlanLeavesNothing(t *testing.T) {
	for seed := range uint64(200) {
		c, o := scene(rand.New(rand.NewPCG(seed, 2)))
		p := Make(c, served(c), o)
		if p.Refused() != nil {
			continue
		}
		after := Make(c, served(c), o.apply(c, p))
		if after.Changed() {
			t.Fatalf("seed %d: %s, and then %s: %+v", seed, p.Summary(), after.Summary(), after.Changes)
		}
	}
}
