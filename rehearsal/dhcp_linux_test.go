package rehearsal

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/rehearsal/node"
)

const nmstateDHCP = `
interfaces:
- {name: nic0, type: ethernet, state: up, ipv4: {enabled: true, dhcp: true, auto-dns: false}, ipv6: {enabled: false}}
dns-resolver:
  config: {server: [192.0.2.210]}
`

// Machines get their addresses from the router of their network. It announces
// itself as DNS server, and who is not told otherwise believes it.
func TestMachinesGetAddressesFromTheirRouter(t *testing.T) {
	if !inside(t) {
		return
	}
	cfg := example(t)
	cfg.Networks[0].Static = []netip.Addr{addr("192.0.2.201")}
	w := open(t, cfg)
	key := newSigner(t)
	image := filepath.Join(cfg.Dir, "discovery.iso")
	writeImage(t, image, node.Discovery{
		ServiceURL: "http://192.0.2.9:8090", InfraEnvID: uuid.NewString(), SSHKeys: []string{string(ssh.MarshalAuthorizedKey(key.PublicKey()))},
		Networks: []node.StaticNetwork{{NMState: nmstateDHCP, MACs: map[string]string{"02:00:00:00:00:01": "nic0"}}},
	})
	r := w.datacentres[0].rack
	for _, tt := range []struct {
		name    string
		id      int
		bridge  string
		network string
		resolv  string
	}{
		{"nmstate with our resolver", 1, "vmbr0", "192.0.2.0/24", "nameserver 192.0.2.210\n"},
		{"no nmstate", 2, "vmbr0", "192.0.2.0/24", "search home.arpa\nnameserver 192.0.2.1\n"},
		{"another network", 3, "vmbr1", "203.0.113.0/24", "search home.arpa\nnameserver 203.0.113.1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := vm(tt.id, tt.bridge, 0)
			m.CD = image
			must(t, r.PowerOn(m))
			first := leased(t, w, tt.id)
			if !prefix(tt.network).Contains(first) || first == addr("192.0.2.201") {
				t.Errorf("address %s", first)
			}
			if diff := cmp.Diff(tt.resolv, shell(t, key, first, "cat /etc/resolv.conf")); diff != "" {
				t.Errorf("resolv.conf: -want +got\n%s", diff)
			}
			r.PowerOff(tt.id)
			must(t, r.PowerOn(m))
			if again := leased(t, w, tt.id); again != first {
				t.Errorf("after a power cut: address %s, was %s", again, first)
			}
		})
	}
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	must(t, err)
	return signer
}

func writeImage(t *testing.T, path string, d node.Discovery) {
	t.Helper()
	image, err := os.Create(path)
	must(t, err)
	must(t, node.WriteISO(image, d, 4<<20))
	must(t, image.Close())
}

// leased waits for the address of a machine.
func leased(t *testing.T, w *World, id int) netip.Addr {
	t.Helper()
	var last Host
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		for _, h := range w.Hosts() {
			if h.VMID != id {
				continue
			}
			if last = h; len(h.State.Addresses) == 1 {
				return h.State.Addresses[0]
			}
		}
	}
	t.Fatalf("no address: %+v", last)
	return netip.Addr{}
}

// shell runs a command on a live system, once its sshd is there.
func shell(t *testing.T, key ssh.Signer, at netip.Addr, command string) string {
	t.Helper()
	config := &ssh.ClientConfig{User: "core", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, Timeout: time.Second,
		HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error { return nil }} // made at each boot
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		client, err := ssh.Dial("tcp", joinPort(at, 22), config)
		if err == nil {
			defer client.Close()
			session, err := client.NewSession()
			must(t, err)
			out, err := session.Output(command)
			must(t, err)
			return string(out)
		}
		if time.Now().After(deadline) {
			t.Fatalf("log in to %s: %v", at, err)
		}
	}
}

// A machine that nobody told of our DNS server asks the router's, which knows
// no name of the cluster: the service says so, and does not install.
func TestAMachineWithTheRoutersDNSIsNotInstalled(t *testing.T) {
	if !inside(t) {
		return
	}
	cfg := example(t)
	w := open(t, cfg)
	const pullSecret = `{"auths":{"fake":{"auth":"aWQ6cGFzcwo="}}}`
	var cluster, infraEnv struct {
		ID  string
		URL string `json:"download_url"`
	}
	call(t, "POST", "/clusters", `{"name":"mycluster","base_dns_domain":"lab.test","openshift_version":"4.20.3","pull_secret":`+strconv.Quote(pullSecret)+
		`,"platform":{"type":"none"},"user_managed_networking":true,"control_plane_count":1}`, &cluster)
	call(t, "POST", "/infra-envs", `{"name":"mycluster","cluster_id":"`+cluster.ID+`","pull_secret":`+strconv.Quote(pullSecret)+`}`, &infraEnv)
	m := vm(1, "vmbr0", 0)
	m.CD = filepath.Join(cfg.Dir, "discovery.iso")
	_, image := get(t, infraEnv.URL, "", nil)
	must(t, os.WriteFile(m.CD, []byte(image), 0o600))
	must(t, w.datacentres[0].rack.PowerOn(m))
	type listed struct {
		Status    string
		Info      string `json:"status_info"`
		Inventory string
	}
	var hosts []listed
	for deadline := time.Now().Add(20 * time.Second); len(hosts) == 0 || !strings.Contains(hosts[0].Info, "resolve"); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("hosts %+v, console %+v", hosts, w.Hosts())
		}
		call(t, "GET", "/infra-envs/"+infraEnv.ID+"/hosts", "", &hosts)
	}
	for _, name := range []string{"api", "api-int", "*.apps"} {
		if want := "Couldn't resolve domain name " + name + ".mycluster.lab.test on the host"; hosts[0].Status != "insufficient" || !strings.Contains(hosts[0].Info, want) {
			t.Errorf("status %s, %s; want insufficient, %s", hosts[0].Status, hosts[0].Info, want)
		}
	}
	if want := leased(t, w, 1).String() + "/24"; !strings.Contains(hosts[0].Inventory, want) {
		t.Errorf("the inventory does not have the leased address %s: %s", want, hosts[0].Inventory)
	}
}

// call is the user's own call of the installer.
func call(t *testing.T, method, path, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://192.0.2.9:8090/api/assisted-install/v2"+path, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	if answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	must(t, json.Unmarshal(text, into))
}
