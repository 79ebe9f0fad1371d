package kube

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

const now = "2026-11-21T10:00:00Z"

func node(name, role, ready, address string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"labels":{"node-role.kubernetes.io/%s":""}},"status":{
		"conditions":[{"type":"Ready","status":%q,"message":"kubelet says so","lastTransitionTime":%q}],
		"addresses":[{"type":"InternalIP","address":%q},{"type":"Hostname","address":"x"}]}}`, name, role, ready, now, address)
}

func operator(name, available, progressing, degraded string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q},"status":{"conditions":[
		{"type":"Available","status":%q,"message":"not yet"},{"type":"Progressing","status":%q,"message":"moving"},
		{"type":"Degraded","status":%q,"message":"broken","lastTransitionTime":%q}]}}`, name, available, progressing, degraded, now)
}

func items(objects ...string) string {
	return `{"metadata":{},"items":[` + strings.Join(objects, ",") + `]}`
}

const (
	nodesPath     = "/api/v1/nodes"
	csrPath       = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	versionPath   = "/apis/config.openshift.io/v1/clusterversions/version"
	operatorsPath = "/apis/config.openshift.io/v1/clusteroperators"
	consolePath   = "/apis/route.openshift.io/v1/namespaces/openshift-console/routes/console"
)

// whole is what a cluster of one control plane node answers when it is done.
func whole() map[string]string {
	return map[string]string{
		nodesPath:     items(node("control-0.c.lab.test", "master", "True", "192.0.2.201")),
		csrPath:       items(`{"metadata":{"name":"csr-old"},"spec":{},"status":{"conditions":[{"type":"Approved"}]}}`),
		versionPath:   operator("version", "True", "False", "False"),
		operatorsPath: items(operator("console", "True", "False", "False")),
		consolePath:   `{"spec":{"host":"console.apps.c.lab.test"},"status":{"ingress":[{"conditions":[{"type":"Admitted","status":"True"}]}]}}`,
	}
}

func TestLook(t *testing.T) {
	want := []Planned{{Name: "control-0.c.lab.test", ControlPlane: true, Address: netip.MustParseAddr("192.0.2.201")}}
	change := func(path, answer string) map[string]string { a := whole(); a[path] = answer; return a }
	tests := []struct {
		name    string
		answers map[string]string
		wrong   []string
	}{
		{"a whole cluster", whole(), nil},
		{"a node is missing", change(nodesPath, items()), []string{"node control-0.c.lab.test has not joined"}},
		{"a node is not ready", change(nodesPath, items(node("control-0.c.lab.test", "master", "False", "192.0.2.201"))),
			[]string{"node control-0.c.lab.test is not ready: kubelet says so"}},
		{"a node has another role", change(nodesPath, items(node("control-0.c.lab.test", "worker", "True", "192.0.2.201"))),
			[]string{"node control-0.c.lab.test has the roles worker"}},
		{"a node has another address", change(nodesPath, items(node("control-0.c.lab.test", "control-plane", "True", "192.0.2.9"))),
			[]string{"node control-0.c.lab.test has not the address 192.0.2.201"}},
		{"a stranger has joined", change(nodesPath, items(node("control-0.c.lab.test", "master", "True", "192.0.2.201"), node("x.lab.test", "worker", "True", "192.0.2.3"))),
			[]string{"node x.lab.test is not in the spec"}},
		{"a certificate request waits", change(csrPath, items(`{"metadata":{"name":"csr-1"},"spec":{"username":"system:node:x"},"status":{}}`)),
			[]string{"certificate request csr-1 of system:node:x awaits approval"}},
		{"an operator is degraded", change(operatorsPath, items(operator("console", "True", "False", "True"))), []string{"operator console is degraded: broken"}},
		{"an operator is not available", change(operatorsPath, items(operator("dns", "False", "True", "False"))), []string{"operator dns is not available: not yet"}},
		{"the version is progressing", change(versionPath, operator("version", "True", "True", "False")), []string{"operator version is progressing: moving"}},
		{"no operator has reported", change(operatorsPath, items()), []string{"no cluster operator has reported"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			report, err := serve(t, test.answers).Look(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Wrong) != len(test.wrong) || report.Joined() != (len(test.wrong) == 0) {
				t.Fatalf("wrong is %q, want %q", report.Wrong, test.wrong)
			}
			for i, w := range test.wrong {
				if !strings.HasPrefix(report.Wrong[i], w) {
					t.Errorf("wrong is %q, want %q", report.Wrong[i], w)
				}
			}
		})
	}
}

func TestLookTellsTheRelease(t *testing.T) {
	answers := whole()
	for status, want := range map[string]string{`"desired":{"version":"4.20.3"},`: "4.20.3", "": ""} {
		answers[versionPath] = `{"metadata":{"name":"version"},"status":{` + status + `"conditions":[{"type":"Available","status":"True"}]}}`
		report, err := serve(t, answers).Look(t.Context(), nil)
		if err != nil || report.Version != want {
			t.Errorf("release %q, %v; want %q", report.Version, err, want)
		}
	}
}

func TestConsoleIsToldOnceAdmitted(t *testing.T) {
	answers := whole()
	c := serve(t, answers)
	if url, err := c.Console(t.Context()); err != nil || url != "https://console.apps.c.lab.test" {
		t.Errorf("console %q, %v", url, err)
	}
	answers[consolePath] = `{"spec":{"host":"x"},"status":{}}`
	if url, err := c.Console(t.Context()); err != nil || url != "" {
		t.Errorf("console %q, %v before its route is admitted", url, err)
	}
}

func TestListsAreReadToTheLastPage(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc(nodesPath, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("limit") == "" {
			t.Error("no limit was asked for")
		}
		if r.URL.Query().Get("continue") == "" {
			fmt.Fprintf(w, `{"metadata":{"continue":"more"},"items":[%s]}`, node("b", "worker", "True", "192.0.2.1"))
			return
		}
		fmt.Fprint(w, items(node("a", "worker", "True", "192.0.2.2")))
	})
	nodes, err := client(t, mux).Nodes(t.Context())
	if err != nil || len(nodes) != 2 || nodes[0].Name != "a" {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
}

func TestErrorsCarryTheAPIsWords(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","message":"nodes is forbidden"}`)
	})
	_, err := client(t, mux).Nodes(t.Context())
	if err == nil || err.Error() != "/api/v1/nodes: 403 nodes is forbidden" {
		t.Errorf("error %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := kubeconfig("https://api.c.lab.test:6443", "", "    token: abc")
	if k, err := Parse([]byte(good)); err != nil || k.token != "abc" || k.Server.Host != "api.c.lab.test:6443" {
		t.Fatalf("a good kubeconfig: %+v, %v", k, err)
	}
	tests := map[string]string{
		"kubeconfig is not YAML":                   ":\n\t:",
		`kubeconfig has no context ""`:             "{}",
		`names the server "http://x", which is no`: kubeconfig("http://x", "", "    token: a"),
		"certificate-authority-data is not base64": kubeconfig("https://x", "%", "    token: a"),
		"holds no certificate":                     kubeconfig("https://x", base64.StdEncoding.EncodeToString([]byte("x")), "    token: a"),
		"runs a program to log in":                 kubeconfig("https://x", "", "    exec: {command: aws}"),
		"client certificate and key do not fit":    kubeconfig("https://x", "", "    client-certificate-data: eA==\n    client-key-data: eA=="),
		"client certificate or key is not base64":  kubeconfig("https://x", "", "    client-certificate-data: '%'"),
	}
	for want, text := range tests {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(kubeconfig("https://x", "", "    token: secret-token")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := Parse(data); err == nil && k.Server == nil {
			t.Error("no error and no server")
		}
	})
}

func kubeconfig(server, ca, user string) string {
	return fmt.Sprintf(`current-context: admin
contexts:
- {name: admin, context: {cluster: c, user: u}}
clusters:
- {name: c, cluster: {server: %q, certificate-authority-data: %q}}
users:
- name: u
  user:
%s
`, server, ca, user)
}

func serve(t *testing.T, answers map[string]string) *Client {
	return client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"kind":"Status","message":"not found"}`
		}
		fmt.Fprint(w, answer)
	}))
}

// client asks handler over real TLS, by a name that nothing resolves.
func client(t *testing.T, handler http.Handler) *Client {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	at := netip.MustParseAddrPort(server.Listener.Addr().String())
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	k, err := Parse([]byte(kubeconfig(fmt.Sprintf("https://example.com:%d", at.Port()), base64.StdEncoding.EncodeToString(ca), "    token: t")))
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(k, at.Addr())
	t.Cleanup(c.Close)
	return c
}
