package pve

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOptionsOfTheDatacentre(t *testing.T) {
	l := newLab(t, func(c *Config) {
		c.NextID = IDRange{200, 202}
		c.Tags = TagPolicy{UserAllow: "existing", List: []string{"listed"}, Registered: []string{"ours"}}
	})
	l.srv.AddVM(VMState{ID: 200, Pool: "lab", Config: map[string]string{"tags": "seen;ours"}})
	l.srv.AddVM(VMState{ID: 300, Config: map[string]string{"tags": "hidden"}})
	cases := map[string]map[string]any{
		"lab": {"allowed-tags": []any{"listed", "seen"}},
		"admin": {"allowed-tags": []any{"hidden", "listed", "ours", "seen"}, "keyboard": "en-us",
			"next-id": map[string]any{"lower": 200.0, "upper": 202.0}, "registered-tags": []any{"ours"},
			"user-tag-access": map[string]any{"user-allow": "existing", "user-allow-list": []any{"listed"}}},
	}
	for token, want := range cases {
		if diff := cmp.Diff(want, l.as(token).call("GET", "/cluster/options").Data); diff != "" {
			t.Errorf("%s (-want +got):\n%s", token, diff)
		}
	}
	if got := l.call("GET", "/cluster/nextid").Data; got != "201" {
		t.Errorf("nextid is %v", got)
	}
	l.srv.AddVM(VMState{ID: 201})
	if got := l.call("GET", "/cluster/nextid").Status; got != "500 unable to get any free VMID in range [200, 202]" {
		t.Errorf("nextid of a full range: %v", got)
	}
	if got := l.call("GET", "/cluster/nextid", "vmid", "200").Errors["vmid"]; got != "VM 200 already exists" {
		t.Errorf("nextid of one that is taken: %v", got)
	}
}

func TestWhoSeesVNets(t *testing.T) {
	l := newLab(t, func(c *Config) { c.VNets = []VNet{{"blue", "zone1"}, {"red", "zone2"}} })
	if err := l.srv.Grant("slipway@pve!lab", ACL{Path: "/sdn/zones/zone1", Privileges: []string{"SDN.Audit"}, Propagate: true}); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{"vnet": "blue", "zone": "zone1"}}
	if diff := cmp.Diff(want, pick(l.call("GET", "/cluster/sdn/vnets").Data, "vnet", "zone")); diff != "" {
		t.Errorf("VNets (-want +got):\n%s", diff)
	}
}

func TestURLMetadata(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/x.iso" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream; q=1")
		w.Header().Set("Content-Length", "42")
	}))
	defer web.Close()
	l := newLab(t, nil)
	want := map[string]any{"filename": "x.iso", "size": 42.0, "mimetype": "application/octet-stream"}
	if diff := cmp.Diff(want, l.call("GET", "/nodes/pve/query-url-metadata", "url", web.URL+"/x.iso").Data); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if got := l.call("GET", "/nodes/pve/query-url-metadata", "url", web.URL+"/y.iso").Errors["url"]; got != "invalid server response: '404 Not Found'" {
		t.Errorf("of what is not there: %q", got)
	}
	if got := l.as("none").call("GET", "/nodes/pve/query-url-metadata", "url", web.URL).Status; got != "403 Permission check failed (/nodes/pve, Sys.AccessNetwork)" {
		t.Errorf("without the privilege: %s", got)
	}
}
