package assisted

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/rehearsal/assisted/assistedtest"
)

const (
	speed  = pace.Pace(2000)
	secret = `{"auths":{"fake":{"auth":"aWQ6cGFzcwo="}}}`
)

// A lab is a service on loopback and its user.
type lab struct {
	t       *testing.T
	service *Service
	server  *httptest.Server
	bearer  string
}

func newLab(t *testing.T, config Config) *lab {
	t.Helper()
	l := &lab{t: t, bearer: config.Token}
	l.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.service.ServeHTTP(w, r) }))
	config.URL = "http://" + l.server.Listener.Addr().String()
	config.Dir = t.TempDir()
	config.Speed = speed
	config.ImageSize = 1 << 20
	service, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	l.service = service
	l.server.Start()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		l.server.Close()
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

type object = map[string]any

// call makes a request as the user; body is sent as it is when a string.
func (l *lab) call(method, path string, body any) (status int, answer []byte) {
	l.t.Helper()
	text, raw := body.(string)
	if !raw && body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			l.t.Fatal(err)
		}
		text = string(encoded)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.server.URL+base+path, strings.NewReader(text))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if l.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+l.bearer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		l.t.Fatal(err)
	}
	return resp.StatusCode, bytes.TrimSpace(answer)
}

// get decodes a successful answer into out.
func (l *lab) get(path string, out any) {
	l.t.Helper()
	if status, answer := l.call("GET", path, nil); status != 200 || json.Unmarshal(answer, out) != nil {
		l.t.Fatalf("GET %s: %d: %s", path, status, answer)
	}
}

// make posts body and returns the id of what was made.
func (l *lab) make(path string, body object) string {
	l.t.Helper()
	status, answer := l.call("POST", path, body)
	var made struct{ ID string }
	if status != 201 || json.Unmarshal(answer, &made) != nil {
		l.t.Fatalf("POST %s: %d: %s", path, status, answer)
	}
	return made.ID
}

func clusterBody(changes object) object {
	body := object{
		"name": "mycluster", "base_dns_domain": "lab.test", "openshift_version": "4.20", "pull_secret": secret,
		"platform": object{"type": "none"}, "user_managed_networking": true, "control_plane_count": 3,
	}
	for key, value := range changes {
		body[key] = value
	}
	return body
}

func infraEnvBody(clusterID string) object {
	return object{"name": "env", "pull_secret": secret, "cluster_id": clusterID, "ssh_authorized_key": "ssh-ed25519 AAAA\n"}
}

// A fleet is a cluster with five agents that have registered.
type fleet struct {
	*lab
	cluster, infraEnv string
	agents            []*assistedtest.Agent
}

func newFleet(t *testing.T) *fleet {
	l := newLab(t, Config{})
	f := &fleet{lab: l, cluster: l.make("/clusters", clusterBody(nil))}
	f.infraEnv = l.make("/infra-envs", infraEnvBody(f.cluster))
	for i := range 5 {
		n := string(rune('1' + i))
		f.agents = append(f.agents, &assistedtest.Agent{
			URL: l.server.URL, InfraEnv: f.infraEnv, ID: strings.Repeat(n, 8) + "-0000-4000-8000-000000000000",
			Hostname: "host-" + n + ".lab.test", MAC: "52:54:00:00:00:0" + n, Address: "192.0.2.20" + n + "/24",
			CPUs: 8, Memory: 16384, Disk: 250, Sync: 2,
		})
		f.must(f.agents[i].Register(t.Context()))
	}
	return f
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// until lets the agents poll until the cluster is as done wants it.
func (f *fleet) until(what string, done func(c *clusterView) bool) *clusterView {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	for {
		for _, a := range f.agents {
			if !a.Rebooted {
				f.must(a.Poll(ctx))
			}
		}
		c := f.view()
		if done(c) {
			return c
		}
		if speed.Wait(ctx, 10*time.Second) != nil {
			f.t.Fatalf("never %s: %+v", what, c)
		}
	}
}

type clusterView struct {
	Status      string `json:"status"`
	StatusInfo  string `json:"status_info"`
	Validations string `json:"validations_info"`
	CompletedAt string `json:"install_completed_at"`
	Progress    struct {
		Total int `json:"total_percentage"`
	} `json:"progress"`
	Hosts []hostView `json:"hosts"`
}

type hostView struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	StatusInfo  string `json:"status_info"`
	Role        string `json:"suggested_role"`
	Bootstrap   bool   `json:"bootstrap"`
	Validations string `json:"validations_info"`
	Progress    struct {
		Stage   string `json:"current_stage"`
		Percent int    `json:"installation_percentage"`
	} `json:"progress"`
	Stages []string `json:"progress_stages"`
}

func (f *fleet) view() *clusterView {
	f.t.Helper()
	var c clusterView
	f.get("/clusters/"+f.cluster, &c)
	return &c
}

func status(want string) func(*clusterView) bool {
	return func(c *clusterView) bool { return c.Status == want }
}

func hosts(want string) func(*clusterView) bool {
	return func(c *clusterView) bool {
		for _, h := range c.Hosts {
			if h.Status != want {
				return false
			}
		}
		return true
	}
}

func (h hostView) row(id string) row {
	var rows table
	if json.Unmarshal([]byte(h.Validations), &rows) != nil {
		return row{}
	}
	for _, list := range rows {
		for _, r := range list {
			if r.ID == id {
				return r
			}
		}
	}
	return row{}
}

// install takes the cluster from ready to where every host has rebooted.
func (f *fleet) install() {
	f.t.Helper()
	f.until("ready", status("ready"))
	if code, answer := f.call("POST", "/clusters/"+f.cluster+"/actions/install", nil); code != 202 {
		f.t.Fatalf("install: %d: %s", code, answer)
	}
	f.until("rebooting", func(c *clusterView) bool {
		for _, h := range c.Hosts {
			if h.Progress.Stage != "Rebooting" {
				return false
			}
		}
		return true
	})
}
