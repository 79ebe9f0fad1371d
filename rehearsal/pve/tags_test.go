package pve

import "testing"

func TestWhoMayTag(t *testing.T) {
	cases := []struct {
		name, token, tags string
		policy            TagPolicy
		fault             string
		want              string
	}{
		{"free", "lab", "new;other", TagPolicy{}, "", "200 OK"},
		{"none", "lab", "new", TagPolicy{UserAllow: "none"}, "", "403 Permission check failed (/, Sys.Modify for modifying tag 'new')"},
		{"none, but for who may change the datacentre", "admin", "new", TagPolicy{UserAllow: "none"}, "", "200 OK"},
		{"from the list", "lab", "new", TagPolicy{UserAllow: "list", List: []string{"new"}}, "", "200 OK"},
		{"not from the list", "lab", "seen", TagPolicy{UserAllow: "list", List: []string{"new"}}, "", "403 Permission check failed (/, Sys.Modify for modifying tag 'seen')"},
		{"existing", "lab", "seen", TagPolicy{UserAllow: "existing"}, "", "200 OK"},
		{"existing where the token may not look", "lab", "hidden", TagPolicy{UserAllow: "existing"}, "", "403 Permission check failed (/, Sys.Modify for modifying tag 'hidden')"},
		{"registered", "lab", "new", TagPolicy{Registered: []string{"new"}}, "", "403 Permission check failed (/, Sys.Modify for modifying tag 'new')"},
		{"tags that stay are not asked about", "lab", "kept", TagPolicy{UserAllow: "none"}, "", "200 OK"},
		{"tags that go are", "lab", "", TagPolicy{UserAllow: "none"}, "", "403 Permission check failed (/, Sys.Modify for modifying tag 'kept')"},
		{"refused by fault", "lab", "new", TagPolicy{}, "tags-refused,times=1", "403 Permission check failed (/, Sys.Modify for modifying tag 'new')"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, func(cfg *Config) { cfg.Tags = c.policy })
			l.srv.AddVM(VMState{ID: 200, Pool: "lab", Config: map[string]string{"tags": "kept"}})
			l.srv.AddVM(VMState{ID: 201, Pool: "lab", Config: map[string]string{"tags": "seen"}})
			l.srv.AddVM(VMState{ID: 202, Config: map[string]string{"tags": "hidden"}})
			if c.fault != "" {
				l.inject(c.fault)
			}
			change := []string{"tags", "kept;" + c.tags}
			if c.tags == "" {
				change = []string{"delete", "tags"}
			}
			if got := l.as(c.token).call("PUT", "/nodes/pve/qemu/200/config", change...).Status; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
