package assisted

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/rehearsal/assisted/assistedtest"
	"github.com/slipway-project/slipway/rehearsal/node"
)

type presigned struct {
	URL     string `json:"url"`
	Expires string `json:"expires_at"`
}

func (l *lab) fetch(url string) (int, []byte) {
	l.t.Helper()
	resp, err := http.Get(url)
	l.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	l.must(err)
	return resp.StatusCode, body
}

// The image says what its host must know, and nothing else does.
func TestImage(t *testing.T) {
	for _, token := range []string{"", "t0ken"} {
		l := newLab(t, Config{Token: token})
		body := infraEnvBody(l.make("/clusters", clusterBody(nil)))
		yaml := "interfaces:\n- {name: nic0, type: ethernet}\n"
		body["static_network_config"] = []any{object{"network_yaml": yaml, "mac_interface_map": []any{object{"mac_address": "52:54:00:AA:00:01", "logical_nic_name": "nic0"}}}}
		id := l.make("/infra-envs", body)
		var signed presigned
		l.get("/infra-envs/"+id+"/downloads/image-url", &signed)
		status, image := l.fetch(signed.URL)
		if status != 200 || len(image) != 1<<20 {
			t.Fatalf("image: %d, %d bytes", status, len(image))
		}
		got, err := node.ReadISO(bytes.NewReader(image))
		l.must(err)
		want := node.Discovery{
			ServiceURL: l.server.URL, InfraEnvID: id, AgentToken: l.service.agentToken, SSHKeys: []string{"ssh-ed25519 AAAA"},
			Networks: []node.StaticNetwork{{NMState: yaml, MACs: map[string]string{"52:54:00:aa:00:01": "nic0"}}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("token %q: discovery (-want +got):\n%s", token, diff)
		}
	}
}

func TestImageURLIsSignedAnew(t *testing.T) {
	l := newLab(t, Config{Token: "t0ken"})
	id := l.make("/infra-envs", infraEnvBody(""))
	var first, second presigned
	l.get("/infra-envs/"+id+"/downloads/image-url", &first)
	l.get("/infra-envs/"+id+"/downloads/image-url", &second)
	if first.URL == second.URL || strings.HasPrefix(second.Expires, "0001") {
		t.Errorf("%+v, then %+v", first, second)
	}
	l.service.locked(func() { clear(l.service.infraEnvs[id].signatures) }) // they expire
	if status, _ := l.fetch(second.URL); status != 404 {
		t.Errorf("an expired URL answers %d", status)
	}
}

func TestAuthentication(t *testing.T) {
	l := newLab(t, Config{Token: "t0ken"})
	env := l.make("/infra-envs", infraEnvBody(l.make("/clusters", clusterBody(nil))))
	agent := &assistedtest.Agent{URL: l.server.URL, InfraEnv: env, ID: "11111111-0000-4000-8000-000000000000"}
	if err := agent.Register(t.Context()); err == nil || !strings.Contains(err.Error(), `status 401: {"code":401,"message":"unauthenticated for invalid credentials"}`) {
		t.Errorf("an agent without key: %v", err)
	}
	agent.Key = l.service.agentToken
	l.must(agent.Register(t.Context()))
	l.bearer = "wrong"
	if status, answer := l.call("GET", "/clusters", nil); status != 401 {
		t.Errorf("a wrong token: %d: %s", status, answer)
	}
}
