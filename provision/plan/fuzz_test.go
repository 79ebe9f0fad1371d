package plan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision/spec"
)

// Whatever a spec says, its plan is made, is JSON, is itself again, and holds
// nothing of what secrets and variables from outside hold.
func FuzzSpecToPlan(f *testing.F) {
	f.Add(written)
	f.Add(strings.Replace(written, `count = 3`, "count = 1", 1))
	f.Add(strings.Replace(written, `domain  = "lab.test"`, "domain = \"lab.test\"\n  pull_secret = secret.pve", 1))
	f.Fuzz(func(t *testing.T, text string) {
		const hidden = "hunter2-hunter2"
		s, diags, _ := spec.Load([]string{"-"}, spec.Options{Stdin: strings.NewReader(text),
			LookupEnv: func(name string) (string, bool) { return hidden, name == "TOKEN" }})
		if diags.HasErrors() || s == nil {
			return
		}
		for _, c := range s.Clusters {
			p := Make(c, served(c), whole(c))
			p.Explain = Explain(c, p)
			shown, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if again := Make(c, served(c), whole(c)); Moved(p, again) != nil || p.Spec != again.Spec {
				t.Errorf("the plan has moved away from itself: %q", Moved(p, again))
			}
			if strings.Contains(string(shown), hidden) {
				t.Errorf("the secret is in the plan: %s", shown)
			}
		}
	})
}
