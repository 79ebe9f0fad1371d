//go:build rehearse

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/provision"
)

// The DNS of a cluster that is up answers all that the installer asks; the
// router's does not.
func TestRehearseDNSCheck(t *testing.T) {
	w := openTestWorld(t, example)
	if stderr := w.fails(t, provision.ExitPreflight, nil, "dns", "check", "-f", example); !strings.Contains(stderr, "DNS server 192.0.2.210:53: connection refused") {
		t.Errorf("before up: %s", stderr)
	}
	w.must(t, "up", "--yes", "-f", example)
	var check provision.DNSCheck
	if err := json.Unmarshal([]byte(w.must(t, "dns", "check", "-f", example, "-o", "json")), &check); err != nil {
		t.Fatal(err)
	}
	if len(check.Answers) != 20 || check.Cluster != "mycluster.lab.test" || check.Server.String() != "192.0.2.210:53" {
		t.Errorf("check %+v", check)
	}
	for _, a := range check.Answers {
		if !a.OK {
			t.Errorf("answer %+v", a)
		}
	}
	if stderr := w.fails(t, provision.ExitPreflight, nil, "dns", "check", "-f", example, "--server", "192.0.2.1"); !strings.Contains(stderr, "answers of DNS server 192.0.2.1:53 are wrong") {
		t.Errorf("the router's DNS: %s", stderr)
	}
	w.goneAfterDown(t, example)
}
