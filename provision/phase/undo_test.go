package phase

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// randomGraph is of n steps, of which each needs some of those before it;
// some fail to be undone, all take their time.
func randomGraph(random *rand.Rand, n int, undo func(name string, fails bool) func(context.Context) error) (steps []Step, fails map[string]bool) {
	fails = map[string]bool{}
	for i := range n {
		s := Step{Name: fmt.Sprint("s", i), Phase: fmt.Sprint("p", i%3), Resource: []string{"", "api"}[random.IntN(2)]}
		for j := range i {
			if random.IntN(4) == 0 {
				s.Needs = append(s.Needs, fmt.Sprint("s", j))
			}
		}
		fails[s.Name] = random.IntN(8) == 0
		s.Undo = undo(s.Name, fails[s.Name])
		steps = append(steps, s)
	}
	return steps, fails
}

// needed are all the steps that s stands on, near and far.
func needed(steps []Step, s Step) (all []string) {
	for _, name := range s.Needs {
		i := slices.IndexFunc(steps, func(s Step) bool { return s.Name == name })
		all = append(append(all, name), needed(steps, steps[i])...)
	}
	return all
}

// Whatever the graph: a step is undone only when all that stand on it are
// gone, and a failure keeps what it stands on and nothing else.
func TestUndoKeepsTheOrderOfAnyGraph(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			began, ended := map[string]time.Time{}, map[string]time.Time{}
			r := newRig()
			took := map[string]time.Duration{}
			steps, fails := randomGraph(random, 2+random.IntN(20), func(name string, fail bool) func(context.Context) error {
				took[name] = time.Duration(random.IntN(5)) * time.Second
				return func(ctx context.Context) error {
					r.note(began, name)
					err := take(took[name])(ctx)
					r.note(ended, name)
					if fail {
						return errors.New("stuck")
					}
					return err
				}
			})
			r.Steps, r.Limits = steps, map[string]int{"api": 2}
			err := r.Undo(t.Context())
			kept := map[string]bool{}
			for _, s := range steps {
				for _, below := range needed(steps, s) {
					kept[below] = kept[below] || fails[s.Name]
					if !began[below].IsZero() && (ended[s.Name].IsZero() || began[below].Before(ended[s.Name])) {
						t.Errorf("seed %d: %s was undone before %s, which stands on it", seed, below, s.Name)
					}
				}
			}
			failed := false
			for _, s := range steps {
				if began[s.Name].IsZero() != kept[s.Name] {
					t.Errorf("seed %d: %s undone: %v, want %v", seed, s.Name, !began[s.Name].IsZero(), !kept[s.Name])
				}
				failed = failed || fails[s.Name] && !kept[s.Name]
			}
			if (err != nil) != failed {
				t.Errorf("seed %d: error %v", seed, err)
			}
		})
	}
}

func (r *rig) note(times map[string]time.Time, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	times[name] = time.Now()
}
