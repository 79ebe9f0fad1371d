package proxmox

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/provider"
)

func nodes(all ...pveNode) []pveNode { return all }

func sized(name string, gib, used int) pveNode {
	return pveNode{Name: text(name), CPUs: 16, Memory: number(int64(gib) * gibibyte), Used: number(int64(used) * gibibyte)}
}

func TestPlace(t *testing.T) {
	hidden := nodes(pveNode{Name: "a"}, pveNode{Name: "b"}, pveNode{Name: "c"})
	for _, c := range []struct {
		name   string
		nodes  []pveNode
		guests []guest
		spread string
		want   []string // of control-0, control-1, ... with 16 GiB each
	}{
		{"one on each node, where sizes are hidden", hidden, nil, "", []string{"a", "b", "c", "a"}},
		{"beside the fewest guests, where sizes are hidden", hidden, []guest{{Node: "a"}, {Node: "a"}, {Node: "b"}}, provider.SpreadNone, []string{"c", "b", "c", "a"}},
		{"spread goes before room", nodes(sized("a", 64, 40), sized("b", 256, 0)), nil, "", []string{"b", "a", "b", "b"}},
		{"a full node gets none", nodes(sized("a", 64, 60), sized("b", 256, 0)), nil, "", []string{"b", "b", "b", "b"}},
		{"most room", nodes(sized("a", 64, 0), sized("b", 80, 0)), nil, provider.SpreadNone, []string{"b", "a", "b", "a"}},
		{"those that are there count", nodes(sized("a", 64, 16), sized("b", 64, 16)),
			[]guest{{Name: "control-9.c.test", Node: "a", Status: "running"}}, "", []string{"b", "a", "b", "a"}},
		{"others do not", nodes(sized("a", 128, 16), sized("b", 64, 16)),
			[]guest{{Name: "worker-9.c.test", Node: "a"}, {Name: "control-9.other.test", Node: "a"}}, "", []string{"a", "b", "a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &Provider{allotted: map[string]provider.Machine{}}
			var got []string
			for _, name := range []string{"control-0.c.test", "control-1.c.test", "control-2.c.test", "control-3.c.test"} {
				m := provider.Machine{Name: name, CPUs: 8, Memory: 16 << 10, Spread: c.spread}
				m.Place = p.place(m, landscape{nodes: c.nodes, guests: c.guests})
				p.allotted[name] = m
				got = append(got, m.Place)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("placed (-want +got):\n%s", diff)
			}
		})
	}
}
