package assisted

import (
	"encoding/json"
	"strings"
	"testing"
)

// What the service refuses, with its status and body.
func TestRefusals(t *testing.T) {
	l := newLab(t, Config{})
	absent := "00000000-0000-4000-8000-000000000000"
	static := func(yaml string, macs ...object) object {
		return object{"name": "env", "pull_secret": secret, "static_network_config": []any{object{"network_yaml": yaml, "mac_interface_map": macs}}}
	}
	mac := object{"mac_address": "52:54:00:00:00:01", "logical_nic_name": "nic0"}
	tests := []struct {
		name, method, path string
		body               any
		status             int
		answer             string // a part of it
	}{
		{"an unknown field", "POST", "/clusters", clusterBody(object{"platfrom": "none"}), 400, `{"code":400,"message":"parsing new-cluster-params body from \"\" failed, because json: unknown field \"platfrom\""}`},
		{"no pull secret", "POST", "/clusters", clusterBody(object{"pull_secret": ""}), 422, `{"code":602,"message":"pull_secret in body is required"}`},
		{"a pull secret without auths", "POST", "/clusters", clusterBody(object{"pull_secret": "{}"}), 400, `pull secret for new cluster is invalid`},
		{"no body", "POST", "/clusters", nil, 422, `new-cluster-params in body is required`},
		{"a name with a dot", "POST", "/clusters", clusterBody(object{"name": "my.cluster"}), 400, `Cluster name format mismatch`},
		{"a release that does not exist", "POST", "/clusters", clusterBody(object{"openshift_version": "4.2"}), 400, `Openshift version 4.2 for CPU architecture x86_64 is not supported`},
		{"platform none without user-managed networking", "POST", "/clusters", clusterBody(object{"user_managed_networking": false}), 400, `{"kind":"Error","id":400,"href":"","code":"400","reason":"Can't set none platform with user-managed-networking disabled"}`},
		{"user-managed networking on baremetal", "POST", "/clusters", clusterBody(object{"platform": object{"type": "baremetal"}}), 400, `Can't set baremetal platform with user-managed-networking enabled`},
		{"two control plane nodes", "POST", "/clusters", clusterBody(object{"control_plane_count": 2}), 400, `Invalid control_plane_count: 2`},
		{"a tag with a dash", "POST", "/clusters", clusterBody(object{"tags": "slipway,a-b"}), 400, `Invalid format for Tags: slipway,a-b`},
		{"an infra env of no cluster", "POST", "/infra-envs", infraEnvBody(absent), 404, `record not found`},
		{"static networks: a MAC twice", "POST", "/infra-envs", static("interfaces: [{name: nic0, type: ethernet}]", mac, mac), 400, `MACs and Interfaces for host 0 must be unique`},
		{"static networks: an ethernet interface without MAC", "POST", "/infra-envs", static("interfaces: [{name: nic1, type: ethernet}]", mac), 400, `mac-interface mapping for interface nic1 is missing`},
		{"static networks: no MAC", "POST", "/infra-envs", static("interfaces: [{name: nic1, type: ethernet}]"), 400, `at least one interface for host 0 must be provided`},
		{"static networks: no YAML", "POST", "/infra-envs", static("\t:", mac), 400, `error unmarshalling yaml`},
		{"an absent cluster", "GET", "/clusters/" + absent, nil, 404, `"reason":"Failed to get cluster ` + absent + `: record not found"`},
		{"no UUID", "GET", "/clusters/x", nil, 422, `{"code":601,`},
		{"an absent infra env", "DELETE", "/infra-envs/" + absent, nil, 404, `"kind":"Error"`},
		{"an unknown path", "GET", "/nothing", nil, 404, `{"code":404,"message":"path /api/assisted-install/v2/nothing was not found"}`},
		{"a method that is not there", "PUT", "/clusters", nil, 405, `{"code":405,"message":"method PUT is not allowed"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, answer := l.call(test.method, test.path, test.body)
			if status != test.status || !strings.Contains(string(answer), test.answer) || !json.Valid(answer) {
				t.Errorf("%d: %s\nwant %d: %s", status, answer, test.status, test.answer)
			}
		})
	}
	if left := append(l.service.Clusters(), l.service.InfraEnvs()...); len(left) > 0 {
		t.Errorf("refused requests made %q", left)
	}
}

func TestNamesAreNotUnique(t *testing.T) {
	l := newLab(t, Config{})
	if a, b := l.make("/clusters", clusterBody(nil)), l.make("/clusters", clusterBody(nil)); a == b {
		t.Error("two clusters have one id")
	}
	var list []object
	l.get("/clusters", &list)
	if len(list) != 2 || list[0]["openshift_version"] != "4.20.3" {
		t.Errorf("clusters: %v", list)
	}
}

func TestDeleteOrder(t *testing.T) {
	f := newFleet(t)
	if code, answer := f.call("DELETE", "/infra-envs/"+f.infraEnv, nil); code != 400 || !strings.Contains(string(answer), "5 hosts are still associated") {
		t.Errorf("infra env first: %d: %s", code, answer)
	}
	for _, path := range []string{"/clusters/" + f.cluster, "/infra-envs/" + f.infraEnv} {
		if code, answer := f.call("DELETE", path, nil); code != 204 || len(answer) > 0 {
			t.Errorf("DELETE %s: %d: %s", path, code, answer)
		}
	}
}
