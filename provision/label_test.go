package provision

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/spec"
)

// withAPIServer gives the cluster a kubeconfig, and an API that handler plays.
func (s *simulated) withAPIServer(t *testing.T, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := fmt.Sprintf(`current-context: admin
contexts: [{name: admin, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://example.com:%d", certificate-authority-data: %s}}]
users: [{name: u, user: {token: t}}]
`, server.Listener.Addr().(*net.TCPAddr).Port, base64.StdEncoding.EncodeToString(ca))
	if err := os.MkdirAll(filepath.Dir(s.Kubeconfig()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Kubeconfig(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cluster.Services.Address = netip.MustParseAddr("127.0.0.1")
}

// labelSteps are those of the graph that label nodes, alone.
func (s *simulated) labelSteps() (steps []phase.Step) {
	for _, step := range s.watching(nil) {
		if strings.HasPrefix(step.Name, "label ") {
			step.Needs = nil
			steps = append(steps, step)
		}
	}
	return steps
}

// Labels of the spec are put on the node object; what else is there stays, and
// what is there already is not put again.
func TestLabels(t *testing.T) {
	labels := map[string]string{"node-role.kubernetes.io/master": "", "rack": "b2"}
	patches := 0
	s := simulate(t.TempDir(), "c", 2, 1)
	s.Pace = pace.Pace(1000)
	s.withAPIServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/nodes/control-0.c.lab.test" || r.Header.Get("Authorization") != "Bearer t" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if r.Method == http.MethodPatch {
			patches++
			if patches == 1 { // as an API that restarts
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			var patch struct {
				Metadata struct{ Labels map[string]string }
			}
			if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
				t.Errorf("patch of type %q: %v", r.Header.Get("Content-Type"), err)
			}
			for key, value := range patch.Metadata.Labels {
				labels[key] = value
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]any{"name": "x", "labels": labels}})
	})
	s.cluster.Nodes[0].Labels = map[string]string{"rack": "a1", "example.com/tier": ""}
	for range 2 {
		if err := s.graph(s.labelSteps()).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"node-role.kubernetes.io/master": "", "rack": "a1", "example.com/tier": ""}
	if diff := cmp.Diff(want, labels); diff != "" || patches != 2 {
		t.Errorf("%d patches, labels (-want +got):\n%s", patches, diff)
	}
	s.cluster.Nodes[1].Labels = map[string]string{"rack": "a1"}
	err := s.graph(s.labelSteps()).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "label control-1: ") || ExitCode(err) != ExitOperators {
		t.Errorf("a label that may not be set: %v, exit code %d", err, ExitCode(err))
	}
}

// selfSigned is a certificate for a name, which is its own authority.
func selfSigned(t *testing.T, name string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// The console of a new cluster is signed by the ingress operator's authority,
// which only the cluster itself knows; without it the check fails.
func TestCheckTrustsTheClustersIngress(t *testing.T) {
	certificate, ca := selfSigned(t, "console.apps.c.lab.test")
	console := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	console.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	console.Config.ErrorLog = log.New(io.Discard, "", 0)
	console.StartTLS()
	defer console.Close()
	var published atomic.Bool
	s := simulate(t.TempDir(), "c", 1, 1)
	s.Pace = pace.Pace(1000)
	s.withAPIServer(t, func(w http.ResponseWriter, r *http.Request) {
		if !published.Load() || r.URL.Path != "/api/v1/namespaces/openshift-config-managed/configmaps/default-ingress-cert" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"ca-bundle.crt": string(ca)}})
	})
	s.cluster.Services.DNS.Server = nameserver(t, "console.apps.c.lab.test.")
	s.cluster.Checks = []spec.Check{{Label: "console", Status: 200, Within: 4 * time.Second,
		Get: fmt.Sprintf("https://console.apps.c.lab.test:%d/", console.Listener.Addr().(*net.TCPAddr).Port)}}
	err := s.graph(s.checks(nil)).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("without the authority: %v", err)
	}
	published.Store(true)
	if err := s.graph(s.checks(nil)).Run(t.Context()); err != nil {
		t.Errorf("with the authority: %v", err)
	}
}
