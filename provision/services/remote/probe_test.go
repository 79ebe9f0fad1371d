package remote

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/services"
)

func TestJudge(t *testing.T) {
	d := services.Build(services.View{Name: "mycluster", Domain: "lab.test", Services: netip.MustParseAddr("192.0.2.210"), Network: netip.MustParsePrefix("192.0.2.0/24"), Serial: 1})
	good := []string{"0", "systemd", "address 127.0.0.1/8", "address 192.0.2.210/24"}
	for _, tt := range []struct {
		name  string
		lines []string
		ours  bool
		want  []string
	}{
		{"all is well", good, false, nil},
		{"a resolver on another address", append(good[:4:4], "socket udp 127.0.0.53%lo:53", "socket tcp 127.0.0.53%lo:53"), false, nil},
		{"a server on all addresses", append(good[:4:4], "socket tcp *:443", "socket tcp [::]:443", "socket udp 0.0.0.0:53"), false,
			[]string{"services host h: port 443/tcp is taken", "services host h: port 53/udp is taken"}},
		{"our own service", append(good[:4:4], "socket tcp 192.0.2.210:443"), true, nil},
		{"its address elsewhere", good[:3], false, []string{"services host h: it has not the services address 192.0.2.210"}},
		{"no systemd, no root", []string{"1000", "none", "address 192.0.2.210/24"}, false,
			[]string{"services host h: commands do not run as root", "services host h: there is no systemd"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range (&Host{name: "h"}).judge(tt.lines, d, tt.ours) {
				got = append(got, p.What)
				if p.Hint == "" || !p.Fatal {
					t.Errorf("%q: hint %q, fatal %v", p.What, p.Hint, p.Fatal)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
