package pve

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestErrorsHaveTheRealServersShape(t *testing.T) {
	l := newLab(t, nil)
	l.machine()
	cases := []struct {
		name, method, path string
		params             []string
		want               reply
	}{
		{"unknown path: 501", "GET", "/nodes/pve/lxc", nil,
			reply{Status: "501 Method 'GET /nodes/pve/lxc' not implemented", Message: "Method 'GET /nodes/pve/lxc' not implemented"}},
		{"unknown method: 501", "DELETE", "/version", nil,
			reply{Status: "501 Method 'DELETE /version' not implemented", Message: "Method 'DELETE /version' not implemented"}},
		{"unknown parameter: 400", "GET", "/version", []string{"colour", "red"},
			reply{Status: "400 Parameter verification failed.", Message: "Parameter verification failed.\n", Errors: map[string]string{"colour": unknownProperty}}},
		{"mistyped parameter: 400", "GET", "/nodes/pve/qemu", []string{"full", "yes"},
			reply{Status: "400 Parameter verification failed.", Message: "Parameter verification failed.\n",
				Errors: map[string]string{"full": "type check ('boolean') failed - got 'yes'"}}},
		{"parameter of the path given again: 400", "GET", "/nodes/pve/qemu/100/config", []string{"vmid", "100"},
			reply{Status: "400 Parameter verification failed.", Message: "Parameter verification failed.\n",
				Errors: map[string]string{"vmid": "duplicate parameter (already defined in URI)"}}},
		{"missing privilege: 403 names path and privilege", "GET", "/nodes/pve/status", nil,
			reply{Status: "403 Permission check failed (/nodes/pve, Sys.Audit)", Message: "Permission check failed (/nodes/pve, Sys.Audit)\n"}},
		{"create without right to the pool: bare 403", "POST", "/nodes/pve/qemu", []string{"vmid", "101"},
			reply{Status: "403 Permission check failed", Message: "Permission check failed\n"}},
		{"a VM that is not there looks forbidden to a pool's token", "GET", "/nodes/pve/qemu/999/config", nil,
			reply{Status: "403 Permission check failed (/vms/999, VM.Audit)", Message: "Permission check failed (/vms/999, VM.Audit)\n"}},
		{"deleting an ISO needs Datastore.Allocate", "DELETE", "/nodes/pve/storage/local/content/local:iso/x.iso", nil,
			reply{Status: "403 Permission check failed (/storage/local, Datastore.Allocate)", Message: "Permission check failed (/storage/local, Datastore.Allocate)\n"}},
		{"args is for root alone", "PUT", "/nodes/pve/qemu/100/config", []string{"args", "-S"},
			reply{Status: "500 only root can set 'args' config", Message: "only root can set 'args' config\n"}},
		{"skiplock is for root alone", "POST", "/nodes/pve/qemu/100/status/start", []string{"skiplock", "1"},
			reply{Status: "400 Parameter verification failed.", Message: "Parameter verification failed.\n", Errors: map[string]string{"skiplock": "Only root may use this option."}}},
		{"unknown node: 500 from the resolver", "GET", "/nodes/nope/qemu", nil,
			reply{Status: "500 hostname lookup 'nope' failed - failed to get address info for: nope: Name or service not known",
				Message: "hostname lookup 'nope' failed - failed to get address info for: nope: Name or service not known\n"}},
		{"no agent in the configuration", "GET", "/nodes/pve/qemu/100/agent/network-get-interfaces", nil,
			reply{Status: "500 No QEMU guest agent configured", Message: "No QEMU guest agent configured\n"}},
		{"a bad property string says which key", "PUT", "/nodes/pve/qemu/100/config", []string{"net0", "virtio,bridge=vmbr0,tag=5000"},
			reply{Status: "400 Parameter verification failed.", Message: "Parameter verification failed.\n",
				Errors: map[string]string{"net0": "invalid format - format error\nnet0.tag: value must have a maximum value of 4094\n"}}},
		{"wrong digest", "PUT", "/nodes/pve/qemu/100/config", []string{"digest", strings.Repeat("0", 40), "onboot", "1"},
			reply{Status: "500 checksum mismatch (file change by other user?)", Message: "checksum mismatch (file change by other user?)\n"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, l.call(c.method, c.path, c.params...)); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMissingVMIs500ToWhoMaySeeAll(t *testing.T) {
	l := newLab(t, nil).as("admin")
	want := reply{Status: "500 Configuration file 'nodes/pve/qemu-server/999.conf' does not exist",
		Message: "Configuration file 'nodes/pve/qemu-server/999.conf' does not exist\n"}
	if diff := cmp.Diff(want, l.call("GET", "/nodes/pve/qemu/999/config")); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

func TestTheHTTPLayerRefuses(t *testing.T) {
	l := newLab(t, nil)
	cases := []struct {
		name string
		make func() *http.Request
		want string
	}{
		{"a path without /api2/json is a file", func() *http.Request { return l.request("GET", "/nodes", "") }, "500 no such file '/nodes'"},
		{"content of a DELETE", func() *http.Request { return l.request("DELETE", base+"/nodes/pve/qemu/100", "purge=1") },
			"501 Unexpected content for method 'DELETE'"},
		{"a large body", func() *http.Request { return l.request("POST", base+"/nodes/pve/qemu", strings.Repeat("x", maxPost+1)) },
			"501 for data too large"},
		{"a body of another type", func() *http.Request {
			req := l.request("POST", base+"/nodes/pve/qemu", "vmid: 100")
			req.Header.Set("Content-Type", "application/yaml")
			return req
		}, "506 upload 'Content-Type 'application/yaml' not implemented"},
		{"an upload of another type", func() *http.Request {
			req := l.request("POST", base+"/nodes/pve/storage/local/upload", "the ISO")
			req.Header.Set("Content-Type", "application/yaml")
			return req
		}, "500 upload 'Content-Type 'application/yaml' not implemented"},
		{"chunked encoding", func() *http.Request {
			req := l.request("POST", base+"/nodes/pve/qemu", "vmid=100")
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader("vmid=100")), -1
			return req
		}, "501 chunked transfer encoding not supported"},
		{"no token", func() *http.Request {
			req := l.request("GET", base+"/version", "")
			req.Header.Del("Authorization")
			return req
		}, "401 Authentication failed!"},
		{"a wrong secret", func() *http.Request {
			req := l.request("GET", base+"/version", "")
			req.Header.Set("Authorization", "PVEAPIToken=slipway@pve!lab=wrong")
			return req
		}, "401 Authentication failed!"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(reply{Status: c.want}, l.send(c.make())); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEqualsSignThatIsNotEscapedCutsTheValue(t *testing.T) {
	l := newLab(t, nil)
	req := l.request("POST", base+"/nodes/pve/qemu", "vmid=100&pool=lab&net0=virtio,bridge=vmbr0")
	want := map[string]string{"net0": "invalid format - duplicate key in comma-separated list property: model\n"}
	if diff := cmp.Diff(want, l.send(req).Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestBodiesMayBeJSON(t *testing.T) {
	l := newLab(t, nil)
	req := l.request("POST", base+"/nodes/pve/qemu", `{"vmid": 100, "pool": "lab", "onboot": true, "tags": ["a"]}`)
	req.Header.Set("Content-Type", "application/json")
	want := map[string]string{"tags": "type check ('string') failed - got ARRAY"}
	if diff := cmp.Diff(want, l.send(req).Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestOldServersSayWhyInTheReasonPhraseOnly(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Version = "8.3.5" })
	want := reply{Status: "403 Permission check failed (/nodes/pve, Sys.Audit)"}
	if diff := cmp.Diff(want, l.call("GET", "/nodes/pve/status")); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

func TestUnauthorisedCallsAreDelayed(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Unauthorized = 100 * time.Second })
	begin := time.Now()
	l.auth = "PVEAPIToken=slipway@pve!lab=wrong"
	l.call("GET", "/version")
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("answered after %v, want 100ms", took)
	}
}

func TestPlainHTTPIsRedirected(t *testing.T) {
	l := newLab(t, nil)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get("http://" + l.addr + "/api2/json/version")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got, want := resp.Status+" "+resp.Header.Get("Location"), "301 Moved Permanently https://"+l.addr+"/api2/json/version"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFingerprintIsThatOfTheLeaf(t *testing.T) {
	l := newLab(t, nil)
	conn, err := tls.Dial("tcp", l.addr, l.client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state := conn.ConnectionState()
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	if want := strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":"); l.srv.Fingerprint() != want {
		t.Errorf("fingerprint %s, want %s", l.srv.Fingerprint(), want)
	}
	if state.NegotiatedProtocol == "h2" {
		t.Error("HTTP/2 was negotiated")
	}
}

func TestANodeWorksOnThreeRequestsAtOnce(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Durations.Agent = 500 * time.Second })
	l.machine("agent", "1")
	if exit := l.task("POST", "/nodes/pve/qemu/100/status/start"); exit != "OK" {
		t.Fatal(exit)
	}
	begin := time.Now()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			want := "500 QEMU guest agent is not running"
			if got := l.call("GET", "/nodes/pve/qemu/100/agent/network-get-interfaces").Status; got != want {
				t.Errorf("agent: %s, want %s", got, want)
			}
		})
	}
	l.until("all workers are busy", func() bool { return len(l.srv.hosts["pve"].slots) == workers })
	l.call("GET", "/version")
	if took := time.Since(begin); took < 500*time.Millisecond {
		t.Errorf("a fourth request was answered after %v, while three held the workers", took)
	}
	wg.Wait()
}
