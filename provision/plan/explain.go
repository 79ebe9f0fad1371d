package plan

import (
	"cmp"
	"fmt"

	"github.com/slipway-project/slipway/provision/spec"
)

// What an Explanation is about.
const (
	AboutDefault = "default"
	AboutChange  = "change"
)

// An Explanation says why something in a plan is as it is.
type Explanation struct {
	About string `json:"about"`          // default, change
	Of    string `json:"of"`             // machines "control": cpus, or machine control-0.mycluster.lab.test
	Value string `json:"value"`          // of a default, as the spec would have it: 8; of a change, its action
	Does  string `json:"does,omitempty"` // what a change does
	Why   string `json:"why"`
	At    string `json:"at,omitempty"` // of a default, FILE:LINE of the block that it could be written in
}

// Explain says of every default of c why it is so, and of every change of p
// what it does and why.
func Explain(c spec.Cluster, p Plan) []Explanation {
	all := make([]Explanation, 0, len(c.Defaults)+len(p.Changes))
	for _, d := range c.Defaults {
		e := Explanation{About: AboutDefault, Of: d.Of, Value: d.Value, Why: d.Why}
		if d.At.Filename != "" {
			e.At = fmt.Sprintf("%s:%d", d.At.Filename, d.At.Start.Line)
		}
		all = append(all, e)
	}
	for _, change := range p.Changes {
		all = append(all, change.explain())
	}
	return all
}

func (c Change) explain() Explanation {
	e := Explanation{About: AboutChange, Of: fmt.Sprintf("%s %s", c.Kind, c.Name), Value: string(c.Action),
		Does: cmp.Or(does[c.Action][c.Kind], does[c.Action][""]), Why: cmp.Or(c.Reason, because[c.Action])}
	if c.node().Role == spec.ServicesRole {
		e.Does = cmp.Or(doesForServices[c.Action], e.Does)
	}
	return e
}

// because is why an action is chosen where the change does not say.
var because = map[Action]string{
	Create: "nothing of it was found",
	Keep:   "it is there already",
	Delete: "it carries the cluster's mark",
}

// does is what an action does with a kind of thing; "" is any kind.
var does = map[Action]map[Kind]string{
	Create: {
		Services:     "starts `slipway serve`, which answers for the names and balances the ports of this plan until `slipway down`",
		Registration: "registers cluster, infra env and hosts at the installer, under the cluster's mark",
		Image:        "fetches the discovery ISO and stores it where the machines boot from",
		Machine:      "makes the machine with the MAC and UUID that the plan names, inserts the ISO and switches it on",
		Cluster:      "has the installer install the discovered hosts and waits until every node is Ready and every operator settled",
	},
	Adopt: {"": "records it as the cluster's, makes nothing and goes on from where it stands"},
	Update: {
		Services: "replaces the services document, which `slipway serve` follows without a restart",
		Machine:  "has the provider put right what can be put right in place, and says what is left",
	},
	Keep:   {"": "nothing"},
	Extra:  {"": "nothing: `up` deletes no machine"},
	Gone:   {"": "nothing: there is none, and none is wanted"},
	Refuse: {"": "ends `up` before it changes anything"},
	Delete: {
		Services:     "ends `slipway serve` and its load balancer",
		Registration: "removes the cluster and its infra env from the installer",
		Image:        "removes the boot image from the provider's storage",
		Machine:      "stops the machine and deletes it with its disk",
		Cluster:      "the cluster ends with its machines",
	},
}
