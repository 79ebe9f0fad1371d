package probe

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, out string
		want      Facts
	}{
		{"an installed host with two failed units",
			"boot_id=1b2\nhostname=worker-0.mycluster.lab.test\nlive=no\nkubelet=active\nfailed=\nchronyd.service loaded failed failed NTP\n afterburn.service loaded failed failed x\n",
			Facts{BootID: "1b2", Hostname: "worker-0.mycluster.lab.test", Kubelet: "active", Failed: []string{"chronyd.service", "afterburn.service"}}},
		{"a live host", "boot_id=9\nhostname=localhost\nlive=yes\nkubelet=inactive\nfailed=\n",
			Facts{BootID: "9", Hostname: "localhost", Live: true, Kubelet: "inactive"}},
		{"nothing at all", "", Facts{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, parse(test.out)); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}
