package pve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPermissionsAreTheEffectiveOnes(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	all := l.call("GET", "/access/permissions").Data.(map[string]any)
	if diff := cmp.Diff(map[string]any{"SDN.Use": 1.0}, all["/sdn/zones/localnetwork/vmbr0"]); diff != "" {
		t.Errorf("bridge (-want +got):\n%s", diff)
	}
	if vm, _ := all["/vms/100"].(map[string]any); vm["VM.PowerMgmt"] != 0.0 {
		t.Errorf("/vms/100: %v, want the pool's rights without propagation", vm)
	}
	if none := l.as("none").call("GET", "/access/permissions").Data.(map[string]any); len(none) != 0 {
		t.Errorf("a token without ACL has %v", none)
	}
	want := map[string]any{"/storage/local/x": map[string]any{"Datastore.AllocateTemplate": 1.0, "Datastore.Audit": 1.0}}
	if diff := cmp.Diff(want, l.call("GET", "/access/permissions", "path", "/storage/local/x").Data); diff != "" {
		t.Errorf("one path (-want +got):\n%s", diff)
	}
	other := []string{"userid", "slipway@pve!none", "path", "/"}
	if got := l.call("GET", "/access/permissions", other...).Status; got != "403 Permission check failed (/access, Sys.Audit)" {
		t.Errorf("somebody else's: %s", got)
	}
	if diff := cmp.Diff(map[string]any{"/": map[string]any{}}, l.as("admin").call("GET", "/access/permissions", other...).Data); diff != "" {
		t.Errorf("somebody else's, for an auditor (-want +got):\n%s", diff)
	}
}

func TestPrivileges(t *testing.T) {
	auditor := []string{"Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit", "VM.GuestAgent.Audit"}
	grants := func(privs ...string) map[string]bool {
		all := map[string]bool{}
		for _, p := range privs {
			all[p] = true
		}
		return all
	}
	cases := []struct {
		name  string
		user  *User
		group *Group
		token Token
		path  string
		pools []string
		want  map[string]bool
	}{
		{"an entry nearer to the object replaces those above", nil, nil,
			Token{ACL: []ACL{{Path: "/", Privileges: []string{"VM.Audit"}, Propagate: true}, {Path: "/vms", Privileges: []string{"VM.PowerMgmt"}, Propagate: true}}},
			"/vms/100", nil, grants("VM.PowerMgmt")},
		{"an entry that does not propagate says nothing about what is below", nil, nil,
			Token{ACL: []ACL{{Path: "/", Privileges: []string{"Sys.Audit"}, Propagate: true}, {Path: "/nodes", Privileges: []string{"Sys.Modify"}}}},
			"/nodes/pve", nil, grants("Sys.Audit")},
		{"and holds where it stands", nil, nil,
			Token{ACL: []ACL{{Path: "/nodes", Privileges: []string{"Sys.Modify"}}}}, "/nodes", nil, map[string]bool{"Sys.Modify": false}},
		{"two roles on one path add up", nil, nil,
			Token{ACL: []ACL{{Path: "/", Privileges: []string{"Sys.Audit"}}, {Path: "/", Privileges: []string{"Sys.Audit", "VM.Audit"}, Propagate: true}}},
			"/", nil, grants("Sys.Audit", "VM.Audit")},
		{"NoAccess takes what comes from above", nil, nil,
			Token{ACL: []ACL{{Path: "/", Privileges: []string{"VM.Audit"}, Propagate: true}, {Path: "/vms/100", Roles: []string{"NoAccess"}}}},
			"/vms/100", nil, grants()},
		{"and what comes from the pool", nil, nil,
			Token{ACL: []ACL{{Path: "/pool/lab", Privileges: []string{"VM.Audit"}, Propagate: true}, {Path: "/vms/100", Roles: []string{"NoAccess"}}}},
			"/vms/100", []string{"lab"}, grants()},
		{"NoAccess on the pool takes what is granted on the VM", nil, nil,
			Token{ACL: []ACL{{Path: "/vms", Privileges: []string{"VM.Audit"}, Propagate: true}, {Path: "/pool/lab", Roles: []string{"NoAccess"}}}},
			"/vms/100", []string{"lab"}, grants()},
		{"a pool's rights reach its members, and not further", nil, nil,
			Token{ACL: []ACL{{Path: "/pool/lab", Privileges: []string{"Datastore.Audit"}, Propagate: true}}},
			"/storage/local", []string{"lab/inner"}, map[string]bool{"Datastore.Audit": false}},
		{"a token has no more than its user", &User{ACL: []ACL{{Path: "/", Privileges: []string{"VM.Audit"}, Propagate: true}}}, nil,
			Token{ACL: []ACL{{Path: "/vms/100", Privileges: []string{"VM.Audit", "VM.Allocate"}}}}, "/vms/100", nil, map[string]bool{"VM.Audit": false}},
		{"a token has nothing from its user alone", &User{ACL: []ACL{{Path: "/", Roles: []string{"Administrator"}, Propagate: true}}}, nil,
			Token{}, "/", nil, grants()},
		{"without privilege separation it is the user", &User{ACL: []ACL{{Path: "/", Privileges: []string{"VM.Audit"}, Propagate: true}}}, nil,
			Token{NoPrivsep: true}, "/vms/1", nil, grants("VM.Audit")},
		{"a user has the rights of its groups", &User{Groups: []string{"ops"}}, &Group{"ops", []ACL{{Path: "/", Roles: []string{"PVEAuditor"}, Propagate: true}}},
			Token{NoPrivsep: true}, "/", nil, grants(auditor...)},
		{"unless an entry of its own stands on the same path", &User{Groups: []string{"ops"}, ACL: []ACL{{Path: "/", Privileges: []string{"VM.Audit"}, Propagate: true}}},
			&Group{"ops", []ACL{{Path: "/", Roles: []string{"PVEAuditor"}, Propagate: true}}}, Token{NoPrivsep: true}, "/", nil, grants("VM.Audit")},
		{"privileges of another release count for nothing", nil, nil,
			Token{ACL: []ACL{{Path: "/", Privileges: []string{"VM.Monitor", "VM.Audit"}, Propagate: true}}}, "/", nil, grants("VM.Audit")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Tokens: []Token{c.token}}
			cfg.Tokens[0].ID = "u@pve!t1"
			if c.user != nil {
				c.user.ID = "u@pve"
				cfg.Users = []User{*c.user}
			}
			if c.group != nil {
				cfg.Groups = []Group{*c.group}
			}
			a, err := newAccounts(cfg, release{9, 1})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, a.privileges("u@pve!t1", c.path, c.pools)); diff != "" {
				t.Errorf("privileges on %s (-want +got):\n%s", c.path, diff)
			}
		})
	}
}

func TestPrivilegesDifferBetweenReleases(t *testing.T) {
	cases := []struct {
		release release
		has     map[string]bool
	}{
		{release{9, 1}, map[string]bool{"VM.Monitor": false, "VM.GuestAgent.Audit": true, "VM.Replicate": true, "SDN.Use": true, "Sys.AccessNetwork": true}},
		{release{8, 4}, map[string]bool{"VM.Monitor": true, "VM.GuestAgent.Audit": false, "VM.Replicate": false, "SDN.Use": true, "Sys.AccessNetwork": true}},
		{release{8, 1}, map[string]bool{"VM.Monitor": true, "SDN.Use": true, "Sys.AccessNetwork": false}},
		{release{7, 4}, map[string]bool{"VM.Monitor": true, "SDN.Use": false, "Sys.AccessNetwork": false}},
	}
	for _, c := range cases {
		for priv, want := range c.has {
			if got := c.release.known([]string{priv}) == nil; got != want {
				t.Errorf("%v has %s: %t, want %t", c.release, priv, got, want)
			}
		}
	}
}

func TestGrantAndRevoke(t *testing.T) {
	l := newLab(t, nil)
	const none = "slipway@pve!none"
	status := func() string { return l.as("none").call("GET", "/nodes/pve/status").Status }
	const forbidden = "403 Permission check failed (/nodes/pve, Sys.Audit)"
	steps := []struct {
		name string
		do   func() error
		want string
	}{
		{"at first", func() error { return nil }, forbidden},
		{"granted", func() error {
			return l.srv.Grant(none, ACL{Path: "/nodes", Privileges: []string{"Sys.Audit", "Sys.Modify"}, Propagate: true})
		}, "200 OK"},
		{"another privilege is revoked", func() error { l.srv.Revoke(none, "/nodes", "Sys.Modify"); return nil }, "200 OK"},
		{"another path is revoked", func() error { l.srv.Revoke(none, "/nodes/pve", "Sys.Audit"); return nil }, "200 OK"},
		{"revoked", func() error { l.srv.Revoke(none, "/nodes", "Sys.Audit"); return nil }, forbidden},
		{"granted by role", func() error { return l.srv.Grant(none, ACL{Path: "/", Roles: []string{"PVEAuditor"}, Propagate: true}) }, "200 OK"},
		{"all is revoked", func() error { l.srv.Revoke(none, "/"); return nil }, forbidden},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if got := status(); got != s.want {
			t.Errorf("%s: %s, want %s", s.name, got, s.want)
		}
	}
	for _, acl := range []ACL{{Path: "/", Privileges: []string{"VM.Monitor"}}, {Path: "/", Roles: []string{"Nobody"}}} {
		if err := l.srv.Grant(none, acl); err == nil {
			t.Errorf("%v was granted", acl)
		}
	}
}

func TestWhoIsLetIn(t *testing.T) {
	token := func(name string) Token { return Token{ID: name, Secret: secret} }
	expired := token("slipway@pve!old")
	expired.Expired = true
	l := newLab(t, func(c *Config) {
		c.Users = []User{{ID: "gone@pve", Disabled: true}}
		c.Tokens = append(c.Tokens, token("gone@pve!any"), expired)
	})
	for id, want := range map[string]string{"slipway@pve!none": "200 OK", "slipway@pve!old": "401 Authentication failed!",
		"gone@pve!any": "401 Authentication failed!", "slipway@pve!other": "401 Authentication failed!"} {
		l.auth = "PVEAPIToken=" + id + "=" + secret
		if got := l.call("GET", "/version").Status; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}
