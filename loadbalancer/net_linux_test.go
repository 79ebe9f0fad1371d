package loadbalancer

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/internal/netlab/netlabtest"
)

// settle makes a process at home that a test runs in namespaces of its own.
func settle() error {
	if !netlabtest.IsInside() {
		return nil
	}
	dir, err := os.MkdirTemp("", "loadbalancer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hosts, resolv := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	for _, file := range []string{hosts, resolv} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
	}
	return netlab.Settle(hosts, resolv)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The machine config server hands out the pull secret: whoever asks from
// elsewhere than the machine network gets a reset, and the API an answer.
func TestNetMachineConfigIsForMachinesOnly(t *testing.T) {
	if !netlabtest.Inside(t) {
		return
	}
	l, err := netlab.New()
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	gateway := netip.MustParseAddr("192.0.2.1")
	must(t, l.AddSegment("lan", netip.MustParsePrefix("192.0.2.1/24")))
	must(t, l.AddRemote(netip.MustParseAddr("198.51.100.77")))
	must(t, l.Connect("lan", "eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24")}, gateway))
	machine, err := l.AddMachine("lan", net.HardwareAddr{0x52, 0x54, 0, 0xab, 0xcd, 1})
	must(t, err)
	must(t, machine.Configure([]netip.Prefix{netip.MustParsePrefix("192.0.2.201/24")}, gateway, 1500))
	must(t, machine.Up())
	for _, port := range []string{"6443", "22623"} {
		serveNode(t, machine.Namespace, "192.0.2.201:"+port)
	}
	c := openshift("192.0.2.210", "192.0.2.0/24", "192.0.2.201", 1, "192.0.2.201", "control", 1)
	for name, start := range balancers(t) {
		t.Run(name, func(t *testing.T) {
			b := start(t, c)
			if err := fetch(machine.Namespace, "192.0.2.201", "192.0.2.210:22623"); err != nil {
				t.Errorf("a machine: %v", err)
			}
			if err := fetch(l.Datacentre(), "198.51.100.77", "192.0.2.210:6443"); err != nil {
				t.Errorf("the API from elsewhere: %v", err)
			}
			if err := fetch(l.Datacentre(), "198.51.100.77", "192.0.2.210:22623"); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("machine configs from elsewhere: %v, want a reset", err)
			}
			st, err := b.Stats(t.Context())
			if err != nil || st.Frontends[1].Refused != 1 || st.Frontends[0].Refused != 0 {
				t.Errorf("%+v, %v: want one refused", st.Frontends, err)
			}
		})
	}
}

func serveNode(t *testing.T, n *netlab.Namespace, address string) {
	t.Helper()
	listener, err := n.Listen("tcp", address)
	must(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ignition") }))
	server.Listener.Close()
	server.Listener = listener
	server.StartTLS()
	t.Cleanup(server.Close)
}

// fetch asks for a config from an address of a namespace.
func fetch(n *netlab.Namespace, from, to string) error {
	return n.Do(func() error {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("tcp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		if _, err := io.WriteString(secured, "GET /config/worker HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		_, err = io.ReadAll(secured)
		return err
	})
}
