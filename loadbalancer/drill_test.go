package loadbalancer

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// A drillResult is what the drill found for one fault.
type drillResult struct {
	Drill     string   `json:"drill"`
	Sent      int      `json:"sent"`
	Failed    int      `json:"failed"`
	Down      *float64 `json:"down_s"` // seconds from the fault to DOWN
	Elsewhere int      `json:"watch_broken_elsewhere"`
}

// drillLimits are what a balancer may lose of 30 connections a second.
var drillLimits = map[string]struct {
	failed int     // requests; of a hung server the time tells, not they
	down   float64 // seconds
}{
	"kill":  {3, 1},
	"hang":  {1 << 20, 7},
	"drain": {0, 4},
}

// Both balancers keep serving while one of three API servers is hurt: a short
// form of the drill of the reference, in a network namespace of its own. They
// take turns, and root's have precedence over other tests: what is measured is
// the balancer, not who else wants the processors.
func TestDrill(t *testing.T) {
	drill := needDrill(t)
	haproxy := needHAProxy(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"haproxy": haproxy.Path, "embedded": self} {
		t.Run(name, func(t *testing.T) {
			for _, r := range runDrill(t, drill, program, "kill,hang,drain") {
				t.Logf("%s: %d of %d failed, down after %v s", r.Drill, r.Failed, r.Sent, down(r))
				limit := drillLimits[r.Drill]
				if r.Failed > limit.failed || down(r) > limit.down || r.Elsewhere > 0 || r.Sent < 100 {
					t.Errorf("%+v is more than %+v", r, limit)
				}
			}
		})
	}
}

func down(r drillResult) float64 {
	if r.Down == nil {
		return 1 << 20 // never
	}
	return *r.Down
}

// needDrill finds the drill and what it needs.
func needDrill(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"python3", "openssl", "unshare", "ip"} {
		testbed.Program(t, tool)
	}
	if out, err := exec.Command("unshare", "-n", "true").CombinedOutput(); err != nil {
		testbed.Missing(t, "a network namespace: %s", out)
	}
	return testbed.Reference(t, "tools", "lbdrill.py")
}

func runDrill(t *testing.T, drill, program, kinds string) (results []drillResult) {
	t.Helper()
	result := filepath.Join(t.TempDir(), "drill.json")
	cmd := exec.CommandContext(t.Context(), "unshare", "-n", "sh", "-c", `ip link set lo up; exec nice -n -10 "$@"`, "sh",
		"python3", drill, "--cfg", checkable(t, topologies[0].config), "--haproxy", program,
		"--drill", kinds, "--rate", "30", "--secs", "9", "--settle", "0.2", "--json", result)
	cmd.Env = append(os.Environ(), asHAProxy+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(result)
	if err == nil {
		err = json.Unmarshal(b, &results)
	}
	if err != nil || len(results) != strings.Count(kinds, ",")+1 {
		t.Fatalf("%v: %s", err, b)
	}
	return results
}
