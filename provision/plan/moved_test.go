package plan

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

func TestMoved(t *testing.T) {
	c := cluster(3, 2)
	bigger := cluster(3, 2)
	bigger.Nodes[4].Memory = 32768
	make := func(c spec.Cluster, o Observed) Plan { return Make(c, served(c), o) }
	same := func(p Plan) Plan { p.Changes = slices.Clone(p.Changes); return p }
	otherSlipway := same(make(c, Observed{}))
	otherSlipway.Changes[0].Detail = "a name server"
	otherCluster := same(make(c, Observed{}))
	otherCluster.Cluster = "other.lab.test"
	made := half(c)
	made.Recorded, made.Machines, made.Served = whole(c).Recorded, made.Machines[:2], serving(c)
	stranger := whole(c)
	stranger.Machines = append(stranger.Machines, strange(c).Machines[5])
	for _, tt := range []struct {
		name    string
		was, is Plan
		want    []string
	}{
		{"nothing has happened", make(c, Observed{}), make(c, Observed{}), nil},
		{"some of it was done by now", make(c, Observed{}), make(c, made), nil},
		{"all of it was done by now", make(c, Observed{}), make(c, whole(c)), nil},
		{"what was adopted is recorded now", make(c, half(c)), make(c, building(c)), nil},
		{"the plan was done and undone", make(c, whole(c)), make(c, building(c)), []string{"the world has changed",
			"cluster mycluster.lab.test was planned as keep, and is now create",
			"image mycluster.lab.test was not in the plan, and is now as keep"}},
		{"a machine that was to be kept is gone", make(c, building(c)), make(c, building(c).change("worker-0", nil)), []string{"the world has changed",
			"machine worker-0.mycluster.lab.test was planned as keep, and is now create"}},
		{"a machine was changed", make(c, whole(c)), make(c, whole(c).change("worker-0", func(m *provider.Machine) { m.CPUs = 2 })), []string{"the world has changed",
			"machine worker-0.mycluster.lab.test: cpus is 2, the spec says 8"}},
		{"a machine has moved", make(c, whole(c)), make(c, whole(c).change("worker-0", func(m *provider.Machine) { m.Place = "pve2" })), []string{"the world has changed",
			"machine worker-0.mycluster.lab.test is not as it was planned"}},
		{"a machine that no state knows has appeared", make(c, Observed{}), make(c, Observed{Machines: whole(c).Machines[:1]}), []string{"the world has changed",
			"machine worker-1.mycluster.lab.test was planned as create, and is now adopt"}},
		{"a machine was made otherwise than planned", make(c, Observed{}), make(c, whole(c).change("worker-0", func(m *provider.Machine) { m.UUID = uuid.Max })), []string{"the world has changed",
			"machine worker-0.mycluster.lab.test: uuid is ffffffff-ffff-ffff-ffff-ffffffffffff, the spec says " + c.Nodes[3].UUID.String()}},
		{"an extra machine has appeared", make(c, whole(c)), make(c, stranger), []string{"the world has changed",
			"machine worker-7.mycluster.lab.test was not in the plan, and is now as extra"}},
		{"the spec asks for more", make(c, Observed{}), make(bigger, Observed{}), []string{"the spec means something else now",
			"machine worker-1.mycluster.lab.test is not as it was planned"}},
		{"the spec names another pull secret only", make(c, Observed{}), withTTL(make, c), []string{"the spec means something else now"}},
		{"another slipway plans in another way", otherSlipway, make(c, Observed{}), []string{"this slipway plans in another way than the one that wrote it",
			"services mycluster.lab.test is not as it was planned"}},
		{"a plan for another cluster", otherCluster, make(c, Observed{}), []string{"it is a plan for other.lab.test, and the spec has mycluster.lab.test"}},
	} {
		if diff := cmp.Diff(tt.want, Moved(tt.was, tt.is)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func withTTL(make func(spec.Cluster, Observed) Plan, c spec.Cluster) Plan {
	c.TTL = 1
	return make(c, Observed{})
}

// A run that was cut off anywhere leaves the plan it carried out good.
func TestInterruptedPlanIsStillGood(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		c, before := scene(r)
		was := Make(c, served(c), before)
		if was.Refused() != nil {
			continue
		}
		after, o := before.apply(c, was), before
		o.Services, o.Served, o.Registered = true, after.Served, true
		o.Recorded = after.Recorded // identities come before machines
		for _, m := range after.Machines {
			if i := slices.IndexFunc(o.Machines, func(old provider.Machine) bool { return old.Name == m.Name }); i < 0 && r.IntN(2) == 0 {
				o.Machines = append(o.Machines, m)
			}
		}
		if moved := Moved(was, Make(c, served(c), o)); moved != nil {
			t.Fatalf("seed %d: %q", seed, moved)
		}
	}
}
