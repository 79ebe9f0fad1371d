//go:build rehearse

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision"
)

// The DNS of a cluster that is up answers all that the installer asks; the
// router's does not. Nor is it another story from a node's place.
func TestRehearseDNSCheck(t *testing.T) {
	t.Parallel()
	w := openTestWorld(t, example)
	if stderr := w.fails(t, provision.ExitPreflight, nil, "dns", "check", "-f", example); !strings.Contains(stderr, "DNS server 192.0.2.210:53: connection refused") {
		t.Errorf("before up: %s", stderr)
	}
	w.must(t, "up", "--yes", "-f", example)
	for _, node := range []string{"", "worker-0"} {
		var check provision.DNSCheck
		if err := json.Unmarshal([]byte(w.must(t, "dns", "check", "-f", example, "-o", "json", "--node", node)), &check); err != nil {
			t.Fatal(err)
		}
		if len(check.Answers) != 20 || check.Cluster != "mycluster.lab.test" || check.Node != node || fmt.Sprint(check.Servers) != "[192.0.2.210:53]" {
			t.Errorf("check from %q: %+v", node, check)
		}
		for _, a := range check.Answers {
			if !a.OK || a.Server.String() != "192.0.2.210:53" {
				t.Errorf("answer %+v", a)
			}
		}
	}
	for _, test := range []struct{ node, server, want string }{
		{"", "192.0.2.1", "answers of DNS server 192.0.2.1:53 are wrong"},
		{"worker-0", "192.0.2.1", "answers of DNS server 192.0.2.1:53, asked from worker-0, are wrong"},
		{"worker-0", "192.0.2.210:54", "asked from worker-0: DNS server 192.0.2.210:54: connection refused"},
	} {
		if stderr := w.fails(t, provision.ExitPreflight, nil, "dns", "check", "-f", example, "--node", test.node, "--server", test.server); !strings.Contains(stderr, test.want) {
			t.Errorf("%s from %q: %s", test.server, test.node, stderr)
		}
	}
	w.goneAfterDown(t, example)
}
