package rehearsal

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/rehearsal/node"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// example is two networks, a hypervisor known by name only, an installer in
// the first network and one behind TLS.
func example(t *testing.T) Config {
	return Config{
		Dir: t.TempDir(), Speed: 100,
		Hypervisors: []HypervisorConfig{{URL: "https://pve.lan:8006", Nodes: []string{"pve1", "pve2"}, Pool: "ci"}},
		Installers:  []InstallerConfig{{URL: "http://192.0.2.9:8090"}, {URL: "https://assisted.lab.test", Token: "sesame"}},
		Networks:    []NetworkConfig{lan(), {CIDR: prefix("203.0.113.0/24"), Bridge: "vmbr1"}},
		Services:    []netip.Addr{addr("192.0.2.210")},
		Env:         map[string]string{"SLIPWAY_OVERRIDE": "/override.hcl"},
	}
}

func open(t *testing.T, cfg Config) *World {
	t.Helper()
	w, err := Open(cfg)
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	return w
}

// get asks an endpoint as a client on the services host does.
func get(t *testing.T, url, authorization string, trust *tls.Config) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	r.Header.Set("Authorization", authorization)
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(body)
}

func pinned(fingerprint string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		sum := sha256.Sum256(s.PeerCertificates[0].Raw)
		if got := strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":"); got != fingerprint {
			return fmt.Errorf("fingerprint %s, want %s", got, fingerprint)
		}
		return nil
	}}
}

func rooted(t *testing.T, file string) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("%s: no certificate", file)
	}
	return &tls.Config{RootCAs: roots}
}

func TestEndpointsAnswerOnTheServicesHost(t *testing.T) {
	if !inside(t) {
		return
	}
	r := open(t, example(t)).Ready()
	hypervisor, installer := r.Endpoints["https://pve.lan:8006"], r.Endpoints["https://assisted.lab.test"]
	version := "https://pve.lan:8006/api2/json/version"
	clusters := "/api/assisted-install/v2/clusters"
	for _, tt := range []struct {
		name, url, authorization string
		trust                    *tls.Config
		want                     int
	}{
		{"hypervisor by name, fingerprint and token", version, "PVEAPIToken=" + r.Env["SLIPWAY_PROXMOX_TOKEN"], pinned(r.Env["SLIPWAY_PROXMOX_FINGERPRINT"]), 200},
		{"hypervisor by authority", version, "PVEAPIToken=" + r.Env["SLIPWAY_PROXMOX_TOKEN"], rooted(t, hypervisor.CA), 200},
		{"hypervisor with another token", version, "PVEAPIToken=slipway@pve!rehearsal=" + uuid.NewString(), pinned(hypervisor.Fingerprint), 401},
		{"installer by address", "http://192.0.2.9:8090" + clusters, "", nil, 200},
		{"installer by name and authority", "https://assisted.lab.test" + clusters, "Bearer sesame", rooted(t, installer.CA), 200},
		{"installer without its token", "https://assisted.lab.test" + clusters, "", pinned(installer.Fingerprint), 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, body := get(t, tt.url, tt.authorization, tt.trust); status != tt.want {
				t.Errorf("status %d, want %d: %s", status, tt.want, body)
			}
		})
	}
}

// Each node of a hypervisor answers at the address that the cluster tells of
// it, with the certificate that the cluster tells of it.
func TestNodesAnswerAtTheirOwnAddresses(t *testing.T) {
	if !inside(t) {
		return
	}
	w := open(t, example(t))
	r := w.Ready()
	const endpoint = "https://pve.lan:8006"
	token := "PVEAPIToken=" + r.Env["SLIPWAY_PROXMOX_TOKEN"]
	_, body := get(t, endpoint+"/api2/json/cluster/status", token, pinned(r.Endpoints[endpoint].Fingerprint))
	var status struct {
		Data []struct{ Name, Type, IP string }
	}
	must(t, json.Unmarshal([]byte(body), &status))
	at := map[string]string{}
	for _, m := range status.Data {
		if m.Type == "node" {
			at[m.Name] = m.IP
		}
	}
	if diff := cmp.Diff(map[string]string{"pve1": "198.51.100.1", "pve2": "198.51.100.3"}, at); diff != "" {
		t.Fatalf("addresses (-want +got):\n%s", diff)
	}
	for name, address := range at {
		trust := pinned(w.datacentres[0].api.NodeFingerprint(name))
		if status, body := get(t, "https://"+address+":8006/api2/json/version", token, trust); status != 200 {
			t.Errorf("%s: status %d: %s", name, status, body)
		}
	}
	want := map[string]map[string]map[string]int{endpoint: {"pve1": {"GET /cluster/status": 1, "GET /version": 1}, "pve2": {"GET /version": 1}}}
	if diff := cmp.Diff(want, w.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestFaultsNeedAHypervisor(t *testing.T) {
	err := new(World).Inject("lost-reply")
	if err == nil || err.Error() != `fault "lost-reply": there is no simulated hypervisor in which it could go wrong` {
		t.Error(err)
	}
}

func TestFaultsAreInjectedAndCounted(t *testing.T) {
	if !inside(t) {
		return
	}
	cfg := example(t)
	cfg.Faults = []string{"status,status=596,path=/version,times=1", "certificate-rotation,node=pve2"}
	w := open(t, cfg)
	control := NewControl(cfg.Dir)
	must(t, control.Inject(t.Context(), "status,status=595,path=/version"))
	for fault, want := range map[string]string{
		"gremlins":               `ask the world: fault "gremlins": no such kind`,
		"node-offline,node=pve9": `ask the world: fault "node-offline,node=pve9": no hypervisor has that node`,
	} {
		if err := control.Inject(t.Context(), fault); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", fault, err, want)
		}
	}
	r := w.Ready()
	for _, want := range []int{596, 595, 595} {
		if status, _ := get(t, "https://pve.lan:8006/api2/json/version", "PVEAPIToken="+r.Env["SLIPWAY_PROXMOX_TOKEN"], pinned(r.Env["SLIPWAY_PROXMOX_FINGERPRINT"])); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
	got, err := control.Faults(t.Context())
	must(t, err)
	want := []Fault{{cfg.Faults[0], "https://pve.lan:8006", 1}, {cfg.Faults[1], "https://pve.lan:8006", 1}, {"status,status=595,path=/version", "https://pve.lan:8006", 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	counts, err := control.Requests(t.Context())
	if err != nil || counts["https://pve.lan:8006"]["pve1"]["GET /version"] != 3 {
		t.Errorf("requests %v, %v, want three at pve1", counts, err)
	}
}

func TestRoutersAnswerOnTheServicesHost(t *testing.T) {
	if !inside(t) {
		return
	}
	open(t, example(t))
	for _, network := range []string{"udp", "tcp"} {
		for _, router := range []string{"192.0.2.1:53", "203.0.113.1:53"} {
			client := &dns.Client{Net: network, Timeout: 5 * time.Second}
			q := new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)
			if a, _, err := client.ExchangeContext(t.Context(), q, router); err != nil || a.Rcode != dns.RcodeNameError {
				t.Errorf("%s %s: got %v, %v, want NXDOMAIN", network, router, a, err)
			}
		}
	}
	got, err := net.DefaultResolver.LookupHost(t.Context(), "pve.lan")
	must(t, err)
	if diff := cmp.Diff([]string{"198.51.100.1"}, got); diff != "" {
		t.Errorf("hosts file: -want +got\n%s", diff)
	}
}

func TestReadyTellsHowToEnter(t *testing.T) {
	if !inside(t) {
		return
	}
	cfg := example(t)
	r := open(t, cfg).Ready()
	if r.Version != 1 || r.PID != os.Getpid() || r.Enter[0] != "nsenter" {
		t.Errorf("got version %d, pid %d, enter %v", r.Version, r.PID, r.Enter)
	}
	token := strings.TrimSpace(read(t, r.Endpoints["https://pve.lan:8006"].TokenFile))
	want := map[string]string{
		"SLIPWAY_HOME": filepath.Join(cfg.Dir, "home"), "SLIPWAY_PACE": "100", "SLIPWAY_OVERRIDE": "/override.hcl",
		"SLIPWAY_PROXMOX_TOKEN":       token,
		"SLIPWAY_PROXMOX_FINGERPRINT": r.Endpoints["https://pve.lan:8006"].Fingerprint,
	}
	if diff := cmp.Diff(want, r.Env); diff != "" {
		t.Errorf("environment: -want +got\n%s", diff)
	}
	if got := read(t, r.Endpoints["https://assisted.lab.test"].TokenFile); got != "sesame\n" {
		t.Errorf("installer's token file: %q", got)
	}
	for url, e := range r.Endpoints {
		if info, err := os.Stat(e.TokenFile); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode of %s is %o", url, e.TokenFile, info.Mode().Perm())
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func TestCloseLeavesNothing(t *testing.T) {
	if !inside(t) {
		return
	}
	w, err := Open(example(t))
	must(t, err)
	client := exec.Command("sleep", "60")
	must(t, client.Start())
	must(t, w.Close())
	must(t, w.Close())
	if err := client.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("program inside: got %v, want killed", err)
	}
	left, err := net.Interfaces()
	must(t, err)
	if len(left) != 1 || left[0].Name != "lo" {
		t.Errorf("interfaces left: %v", left)
	}
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	for _, d := range descriptors {
		if target, _ := os.Readlink(d); strings.HasPrefix(target, "net:") || strings.HasPrefix(target, "socket:") {
			t.Errorf("left open: %s", target)
		}
	}
	select {
	case <-w.Done():
	default:
		t.Error("not done after Close")
	}
	must(t, w.Err())
}

func TestResidueIsWhatCameLater(t *testing.T) {
	if !inside(t) {
		return
	}
	w := open(t, example(t))
	home := w.Ready().Env["SLIPWAY_HOME"]
	if diff := cmp.Diff([]string{}, residue(t, w, nil, home)); diff != "" {
		t.Fatalf("fresh: -want +got\n%s", diff)
	}
	client, daemon := exec.Command("sleep", "60"), exec.Command("sleep", "61")
	inner := exec.Command("sleep", "62") // in a network inside, such as that of a cluster
	inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	must(t, client.Start())
	must(t, daemon.Start())
	must(t, inner.Start())
	l, err := net.Listen("tcp", "192.0.2.210:6443")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(home, "journal"), nil, 0o600))
	w.datacentres[0].api.AddVM(pve.VMState{ID: 20000, Name: "control-0.mycluster.lab.test"})
	want := []string{
		"VM 20000 control-0.mycluster.lab.test in https://pve.lan:8006",
		fmt.Sprintf("process %d sleep 61", daemon.Process.Pid),
		fmt.Sprintf("process %d sleep 62", inner.Process.Pid),
		"socket tcp 192.0.2.210:6443",
		"file " + filepath.Join(home, "journal"),
	}
	if diff := cmp.Diff(want, residue(t, w, []int{client.Process.Pid}, home, filepath.Join(home, "absent"))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	l.Close()
	must(t, w.Close())
	client.Wait()
	daemon.Wait()
	inner.Wait()
}

func residue(t *testing.T, w *World, exclude []int, paths ...string) []string {
	t.Helper()
	found, err := w.Residue(exclude, paths)
	must(t, err)
	return found
}

// vm is a machine on a bridge, with neither system nor image.
func vm(id int, bridge string, vlan int) pve.VM {
	return pve.VM{
		ID: id, Name: "control-0", UUID: uuid.New(), CPUs: 8, Memory: 16384, Disk: 250, Boot: []string{"disk", "cd"},
		NICs: []pve.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(id)}, Bridge: bridge, VLAN: vlan}},
	}
}

func TestRackStartsAndStopsMachines(t *testing.T) {
	if !inside(t) {
		return
	}
	w := open(t, example(t))
	r := w.datacentres[0].rack.(*rack)
	must(t, r.PowerOn(vm(1, "vmbr0", 0)))
	must(t, r.PowerOn(vm(2, "vmbr1", 99)))
	if err := r.PowerOn(vm(3, "vmbr7", 0)); err == nil || err.Error() != "bridge 'vmbr7' does not exist" {
		t.Errorf("unknown bridge: got %v", err)
	}
	disk := r.machines[1].disk
	r.PowerOff(1)
	r.PowerOff(1)
	r.Destroy(2)
	r.Destroy(3)
	r.Media(1, "/none")
	if r.machines[1].disk != disk {
		t.Error("the disk did not survive the power cut")
	}
	hosts := w.Hosts()
	if len(hosts) != 1 || hosts[0].State.Phase != node.PhaseOff || hosts[0].VMID != 1 || !slices.Equal(hosts[0].MACs, []string{"02:00:00:00:00:01"}) {
		t.Errorf("hosts: %+v", hosts)
	}
	must(t, r.PowerOn(vm(1, "vmbr0", 0)))
	if hosts := w.Hosts(); hosts[0].State.Phase != node.PhaseFirmware {
		t.Errorf("hosts: %+v", hosts)
	}
}

const nmstate = `
interfaces:
- name: eth0
  type: ethernet
  state: up
  ipv4:
    enabled: true
    dhcp: false
    address: [{ip: 192.0.2.201, prefix-length: 24}]
dns-resolver:
  config: {server: [192.0.2.210]}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-address: 192.0.2.1, next-hop-interface: eth0}
`

func TestMachinesBootOnTheNetworkAndVanishFromIt(t *testing.T) {
	if !inside(t) {
		return
	}
	cfg := example(t)
	w := open(t, cfg)
	m := vm(1, "vmbr0", 0)
	m.CD = filepath.Join(cfg.Dir, "discovery.iso")
	writeImage(t, m.CD, node.Discovery{
		ServiceURL: "http://192.0.2.9:8090", InfraEnvID: uuid.NewString(),
		Networks: []node.StaticNetwork{{NMState: nmstate, MACs: map[string]string{"02:00:00:00:00:01": "eth0"}}},
	})
	r := w.datacentres[0].rack.(*rack)
	must(t, r.PowerOn(m))
	for deadline := time.Now().Add(20 * time.Second); dialSSH(t) != nil; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no SSH: %+v", w.Hosts()[0])
		}
	}
	r.PowerOff(1)
	if err := dialSSH(t); errors.Is(err, syscall.ECONNREFUSED) || err == nil {
		t.Errorf("switched off: got %v, want silence", err)
	}
}

// dialSSH tries for as long as a client without patience.
func dialSSH(t *testing.T) error {
	d := net.Dialer{Timeout: 300 * time.Millisecond}
	c, err := d.DialContext(t.Context(), "tcp", "192.0.2.201:22")
	if err == nil {
		c.Close()
	}
	return err
}

func TestAFailedServerEndsTheWorld(t *testing.T) {
	if !inside(t) {
		return
	}
	w := open(t, example(t))
	w.serve("power grid", func() error { return io.ErrUnexpectedEOF })
	<-w.Done()
	if got, want := fmt.Sprint(w.Err()), "power grid: unexpected EOF"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpenCleansUpAfterItself(t *testing.T) {
	if !inside(t) {
		return
	}
	cfg := example(t)
	cfg.Dir = filepath.Join(cfg.Dir, strings.Repeat("long", 30))
	must(t, os.Mkdir(cfg.Dir, 0o700))
	if _, err := Open(cfg); err == nil || !strings.HasPrefix(err.Error(), "control socket: ") {
		t.Errorf("got %v, want an error about the control socket", err)
	}
	if left, _ := net.Interfaces(); len(left) != 1 {
		t.Errorf("interfaces left: %v", left)
	}
}

func TestOpenRefusesTheOpenSea(t *testing.T) {
	const want = "settle in the namespaces: not in namespaces of its own"
	if _, err := Open(example(t)); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
