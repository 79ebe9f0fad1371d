package assisted

import (
	"testing"
	"time"
)

func FuzzStaticNetworks(f *testing.F) {
	f.Add("interfaces: [{name: nic0, type: ethernet}]", "52:54:00:00:00:01", "nic0")
	f.Add("interfaces: [{name: bond0, type: bond}]", "52:54:00:00:00:01", "")
	f.Add("a: *a", "", "x")
	f.Fuzz(func(t *testing.T, yaml, mac, name string) {
		networks, err := checkStaticNetworks([]hostNetwork{{yaml, []macMap{{mac, name}}}})
		if (err == nil) != (len(networks) == 1) {
			t.Errorf("%d networks, %v", len(networks), err)
		}
	})
}

// Whatever an agent reports, the monitors can judge it.
func FuzzReply(f *testing.F) {
	f.Add("inventory", `{"hostname":"a","disks":[{"path":"/dev/sda","size_bytes":107374182400}],"interfaces":[{"ipv4_addresses":["192.0.2.1/24"]}]}`)
	f.Add("domain-resolution", `{"resolutions":[{"domain_name":"api.a.b"}]}`)
	f.Add("ntp-synchronizer", `{"ntp_sources":null}`)
	f.Add("installation-disk-speed-check", `{"path":"/dev/sda","io_sync_duration":11}`)
	f.Add("container-image-availability", `{"images":[{"name":"x","result":"failure"}]}`)
	f.Fuzz(func(t *testing.T, kind, output string) {
		s := &Service{config: Config{}.withDefaults(), clusters: map[string]*cluster{}, infraEnvs: map[string]*infraEnv{}}
		p := clusterParams{Name: "a", BaseDNSDomain: "b", Platform: &platform{"none"}}
		c := p.cluster("4.20.3")
		ie, err := infraEnvParams{ClusterID: c.ID}.infraEnv(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.clusters[c.ID], s.infraEnvs[ie.ID] = c, ie
		h, err := s.register(ie, "11111111-0000-4000-8000-000000000000", "")
		if err != nil {
			t.Fatal(err)
		}
		reported := s.report(h, reply{Type: kind, Output: output})
		s.refreshHosts(time.Now())
		s.refreshClusters(time.Now())
		if h.Status == "known" || reported == nil && kind == "inventory" && h.inventory == nil {
			t.Errorf("%s %q: %v, host is %s", kind, output, reported, h.Status)
		}
	})
}
