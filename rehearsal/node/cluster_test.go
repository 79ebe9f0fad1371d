package node_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-project/slipway/rehearsal/node"
)

// api returns a client with the downloaded kubeconfig that dials address.
func (d *datacentre) api(address string) *http.Client {
	d.t.Helper()
	var file struct {
		Clusters []struct {
			Cluster struct {
				CA string `yaml:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert string `yaml:"client-certificate-data"`
				Key  string `yaml:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(d.get(installerURL+"/api/assisted-install/v2/clusters/"+d.clusterID+"/downloads/credentials?file_name=kubeconfig"), &file); err != nil {
		d.t.Fatal(err)
	}
	decode := func(text string) []byte {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			d.t.Fatal(err)
		}
		return data
	}
	pair, err := tls.X509KeyPair(decode(file.Users[0].User.Cert), decode(file.Users[0].User.Key))
	if err != nil {
		d.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(decode(file.Clusters[0].Cluster.CA))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, asked string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(asked)
			return d.dial(ctx, network, net.JoinHostPort(address, port))
		},
	}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

const apiURL = "https://api.mycluster.lab.test:6443"

func fetch(t testing.TB, c *http.Client, url string) (int, string) {
	t.Helper()
	reply, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(data)
}

type objects struct {
	Metadata struct{ Continue string }
	Items    []struct {
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Spec struct {
			Username   string
			SignerName string
		}
		Status struct {
			Conditions  []struct{ Type, Status string }
			Certificate string
		}
	}
}

func list(t testing.TB, c *http.Client, path string) objects {
	t.Helper()
	code, body := fetch(t, c, apiURL+path)
	var o objects
	if err := json.Unmarshal([]byte(body), &o); code != http.StatusOK || err != nil {
		t.Fatalf("GET %s: %d %v: %s", path, code, err, body)
	}
	return o
}

// conditions maps names to the value of one condition.
func (o objects) conditions(kind string) map[string]string {
	values := map[string]string{}
	for _, i := range o.Items {
		for _, c := range i.Status.Conditions {
			if c.Type == kind {
				values[i.Metadata.Name] = c.Status
			}
		}
	}
	return values
}

// TestClusterFromBlankDisksToReady is the whole way of three control plane
// hosts and two workers through DNS and a balancer, and what comes after.
func TestClusterFromBlankDisksToReady(t *testing.T) {
	d := newDatacentre(t, 3, 2)
	d.balance(6443, "192.0.2.201", "192.0.2.202", "192.0.2.203")
	d.balance(22623, "192.0.2.201", "192.0.2.202", "192.0.2.203")
	d.balance(443, "192.0.2.204", "192.0.2.205")
	d.balance(80, "192.0.2.204", "192.0.2.205")
	d.register(3)
	d.powerOn()
	d.discover()
	_, _, liveKey, err := d.ssh(d.hosts[0], "true")
	if err != nil {
		t.Fatal(err)
	}
	d.awaitCluster("ready")
	d.call("POST", "/clusters/"+d.clusterID+"/actions/install", nil, nil)
	d.awaitCluster("installed")

	api := d.api(services)
	t.Run("every node is Ready", func(t *testing.T) { d.checkNodes(t, api) })
	t.Run("every certificate request was granted", func(t *testing.T) { d.checkRequests(t, api) })
	t.Run("every operator is Available", func(t *testing.T) {
		for name, status := range list(t, api, "/apis/config.openshift.io/v1/clusteroperators").conditions("Available") {
			if status != "True" {
				t.Errorf("%s is %s", name, status)
			}
		}
		want := map[string]string{"version": "True"}
		if diff := cmp.Diff(want, list(t, api, "/apis/config.openshift.io/v1/clusterversions").conditions("Available")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the console answers", func(t *testing.T) {
		if code, body := fetch(t, api, "https://console-openshift-console.apps.mycluster.lab.test/"); code != http.StatusOK {
			t.Errorf("console: %d %s", code, body)
		}
		if code, _ := fetch(t, api, "https://nothing.apps.mycluster.lab.test/"); code != http.StatusServiceUnavailable {
			t.Errorf("unknown route: %d", code)
		}
		if code, _ := fetch(t, d.api("192.0.2.204"), "http://x:1936/healthz/ready"); code != http.StatusOK {
			t.Errorf("router health: %d", code)
		}
	})
	t.Run("hosts booted twice and have other keys", func(t *testing.T) { d.checkHosts(t, liveKey) })
	t.Run("the API is strict", func(t *testing.T) { d.checkStrictness(t, api) })
	t.Run("without a quorum the API is not ready", func(t *testing.T) { d.checkQuorum(t) })
}

func (d *datacentre) checkNodes(t *testing.T, api *http.Client) {
	nodes := list(t, api, "/api/v1/nodes")
	want, roles := map[string]string{}, map[string]bool{}
	for _, m := range d.hosts {
		want[m.name] = "True"
	}
	if diff := cmp.Diff(want, nodes.conditions("Ready")); diff != "" {
		t.Errorf("Ready (-want +got):\n%s", diff)
	}
	for _, n := range nodes.Items {
		_, master := n.Metadata.Labels["node-role.kubernetes.io/master"]
		roles[n.Metadata.Name] = master
	}
	for _, m := range d.hosts {
		if roles[m.name] != (m.role == "master") {
			t.Errorf("%s has the labels of another role", m.name)
		}
	}
}

func (d *datacentre) checkRequests(t *testing.T, api *http.Client) {
	const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	eventually(t, 10*time.Second, "two requests a node are granted", func() bool {
		granted := map[string]int{}
		for _, r := range list(t, api, path).Items {
			if r.Status.Certificate != "" {
				granted[r.Spec.SignerName]++
			}
		}
		return granted["kubernetes.io/kube-apiserver-client-kubelet"] >= 5 && granted["kubernetes.io/kubelet-serving"] >= 5
	})
}

func (d *datacentre) checkHosts(t *testing.T, liveKey string) {
	for _, m := range d.hosts {
		state := m.State()
		if state.Phase != node.PhaseBooted || state.Boots != 2 || state.Hostname != m.name {
			t.Errorf("%s: %+v", m.name, state)
		}
		out, status, key, err := d.ssh(m, "hostname; systemctl is-active kubelet; test -e /run/ostree-live")
		if err != nil || status != 1 || out != m.name+"\nactive\n" {
			t.Errorf("%s: %q, status %d, %v", m.name, out, status, err)
		}
		if key == liveKey {
			t.Errorf("%s: the installed system has the live system's host key", m.name)
		}
	}
}

func (d *datacentre) checkStrictness(t *testing.T, api *http.Client) {
	anonymous := d.api(services)
	anonymous.Transport.(*http.Transport).TLSClientConfig.Certificates = nil
	tests := []struct {
		name   string
		client *http.Client
		path   string
		code   int
		want   string
	}{
		{"a stranger may ask for health", anonymous, "/readyz", 200, "ok"},
		{"health in detail", anonymous, "/readyz?verbose", 200, "[+]etcd ok\n"},
		{"and for the version", anonymous, "/version", 200, `"gitVersion"`},
		{"a stranger may not list", anonymous, "/api/v1/nodes", 403, `nodes is forbidden: User \"system:anonymous\" cannot list resource \"nodes\" in API group \"\" at the cluster scope`},
		{"unknown object", api, "/api/v1/nodes/nope", 404, `nodes \"nope\" not found`},
		{"unknown route", api, "/apis/route.openshift.io/v1/namespaces/x/routes/y", 404, `routes.route.openshift.io \"y\" not found`},
		{"unknown resource", api, "/api/v1/pods", 404, "the server could not find the requested resource"},
		{"bad limit", api, "/api/v1/nodes?limit=x", 400, "unable to decode query"},
		{"bad continue token", api, "/api/v1/nodes?continue=x", 400, "continue key is not valid"},
		{"a selector is not ignored", api, "/api/v1/nodes?labelSelector=a", 400, "not simulated"},
		{"bootstrap is complete", api, "/api/v1/namespaces/kube-system/configmaps/bootstrap", 200, `"status":"complete"`},
		{"console route", api, "/apis/route.openshift.io/v1/namespaces/openshift-console/routes/console", 200, `"Admitted"`},
	}
	for _, test := range tests {
		if code, body := fetch(t, test.client, apiURL+test.path); code != test.code || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s", test.name, code, body)
		}
	}
	d.checkPages(t, api)
	d.checkPatches(t, api)
	request, err := http.NewRequest(http.MethodGet, apiURL+"/api/v1/nodes", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer wrong")
	reply, err := anonymous.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong token: %s", reply.Status)
	}
}

func (d *datacentre) checkPatches(t *testing.T, api *http.Client) {
	node := apiURL + "/api/v1/nodes/" + d.hosts[0].name
	for _, test := range []struct {
		name, url, kind, body string
		code                  int
		want                  string
	}{
		{"a label more", node, "application/merge-patch+json", `{"metadata":{"labels":{"example.net/rack":"a"}}}`, 200, `"example.net/rack":"a"`},
		{"the others stay", node, "application/merge-patch+json", `{"metadata":{"labels":{"example.net/rack":null}}}`, 200, `"labels":{"kubernetes.io/arch":"amd64"`},
		{"a type that is none", node, "application/json", `{}`, 415, "application/merge-patch+json"},
		{"what is not simulated", node, "application/merge-patch+json", `{"spec":{"unschedulable":true}}`, 400, "labels and annotations alone are simulated"},
		{"unknown node", apiURL + "/api/v1/nodes/nope", "application/merge-patch+json", `{}`, 404, `nodes \"nope\" not found`},
	} {
		request, err := http.NewRequest(http.MethodPatch, test.url, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", test.kind)
		reply, err := api.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(reply.Body)
		reply.Body.Close()
		if err != nil || reply.StatusCode != test.code || !strings.Contains(string(body), test.want) {
			t.Errorf("%s: %d %s, %v", test.name, reply.StatusCode, body, err)
		}
	}
}

func (d *datacentre) checkPages(t *testing.T, api *http.Client) {
	var names []string
	token, pages := "", 0
	for {
		part := list(t, api, "/api/v1/nodes?limit=2&continue="+token)
		for _, n := range part.Items {
			names = append(names, n.Metadata.Name)
		}
		pages++
		if token = part.Metadata.Continue; token == "" {
			break
		}
	}
	if pages != 3 || len(names) != len(d.hosts) {
		t.Errorf("%d pages of 2 have %d nodes: %v", pages, len(names), names)
	}
}

func (d *datacentre) checkQuorum(t *testing.T) {
	survivor := d.api(d.hosts[0].address)
	d.hosts[1].PowerOff()
	if code, body := fetch(t, survivor, apiURL+"/readyz"); code != http.StatusOK {
		t.Errorf("two of three: %d %s", code, body)
	}
	d.hosts[2].PowerOff()
	if code, body := fetch(t, survivor, apiURL+"/readyz"); code != http.StatusInternalServerError || !strings.Contains(body, "[-]etcd failed") {
		t.Errorf("one of three: %d %s", code, body)
	}
	if code, body := fetch(t, survivor, apiURL+"/api/v1/nodes"); code != http.StatusInternalServerError || !strings.Contains(body, "etcdserver: request timed out") {
		t.Errorf("list without a quorum: %d %s", code, body)
	}
	if err := d.hosts[1].PowerOn(""); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the API is ready again", func() bool {
		code, _ := fetch(t, survivor, apiURL+"/readyz")
		return code == http.StatusOK
	})
	eventually(t, 30*time.Second, "the node that is off is not Ready", func() bool {
		return list(t, survivor, "/api/v1/nodes").conditions("Ready")[d.hosts[2].name] == "Unknown"
	})
	if got := fmt.Sprint(d.hosts[2].State()); got != "off" {
		t.Errorf("state of the host that is off: %s", got)
	}
}
