package rehearsal

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"net/netip"
	"os"
	"path/filepath"
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
