package node_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/rehearsal/node"
)

func TestFirmwareSaysWhyItDoesNotBoot(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.iso")
	if err := os.WriteFile(text, []byte("not an image"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, cd, want string }{
		{"blank disk, empty tray", "", "firmware: no bootable device"},
		{"not an image", text, "firmware: no bootable device: CD: not an ISO 9660 image: EOF"},
		{"no such file", "/nonexistent.iso", "firmware: no bootable device: CD: open /nonexistent.iso: no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := node.New(node.Hardware{Disk: &node.Disk{}, Boot: []string{"disk", "cd"}, Speed: 1000}, node.NewSite())
			defer h.Close()
			if err := h.PowerOn(test.cd); err != nil {
				t.Fatal(err)
			}
			eventually(t, 5*time.Second, test.want, func() bool { return h.State().String() == test.want })
		})
	}
}

func TestMediaInsertedLaterBoots(t *testing.T) {
	m, iso := lone(t, "interfaces: []")
	if err := m.PowerOn(""); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "nothing to boot", func() bool { return m.State().Stuck == "no bootable device" })
	m.SetMedia(iso)
	eventually(t, 5*time.Second, "live system", func() bool { return m.State().Phase == node.PhaseLive })
}

// lone is a host without an installer, and an image with one network for it.
func lone(t *testing.T, nmstate string) (*node.Host, string) {
	t.Helper()
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 9}
	h := node.New(node.Hardware{
		UUID: uuid.New(), Disk: &node.Disk{}, Boot: []string{"disk", "cd"}, Speed: 1000,
		NICs: []node.NIC{{Name: "enp6s18", MAC: mac, Link: &link{lab: newLab(t)}}},
	}, node.NewSite())
	t.Cleanup(func() { h.Close() })
	var image bytes.Buffer
	d := node.Discovery{ServiceURL: "http://192.0.2.9:8090", InfraEnvID: uuid.NewString(),
		Networks: []node.StaticNetwork{{NMState: nmstate, MACs: map[string]string{mac.String(): "nic0"}}}}
	if err := node.WriteISO(&image, d, 0); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "discovery.iso")
	if err := os.WriteFile(path, image.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return h, path
}

func TestHostThatCannotBeReachedSaysWhy(t *testing.T) {
	const dhcp = "interfaces: [{name: nic0, type: ethernet, state: up, ipv4: {enabled: true, dhcp: true}}]"
	tests := []struct{ name, nmstate, want string }{
		{"broken nmstate", "interfaces: 7", "nmstate: yaml:"},
		{"no address", "interfaces: [{name: nic0, type: ethernet, state: up}]", "gives no interface of this host an address"},
		{"DHCP without a server", dhcp, "enp6s18: no DHCP server answers"},
		{"installer away", "interfaces: [{name: nic0, type: ethernet, ipv4: {enabled: true, address: [{ip: 192.0.2.207, prefix-length: 24}]}}]",
			"register host: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, iso := lone(t, test.nmstate)
			if err := h.PowerOn(iso); err != nil {
				t.Fatal(err)
			}
			eventually(t, 5*time.Second, test.want, func() bool { return strings.Contains(h.State().Stuck, test.want) })
		})
	}
}

func TestLiveSystemAnswersTheProbe(t *testing.T) {
	d := newDatacentre(t, 1, 0)
	d.register(1)
	d.powerOn()
	d.discover()
	m := d.hosts[0]
	const script = `echo boot_id=$(cat /proc/sys/kernel/random/boot_id)
echo hostname=$(hostname)
if test -e /run/ostree-live; then echo live=yes; else echo live=no; fi
echo kubelet=$(systemctl is-active kubelet)
echo agent=$(systemctl show -P ActiveState,SubState agent)
echo failed=
systemctl --failed --no-legend --plain`
	out, status, first, err := d.ssh(m, script)
	if err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s", status, err, out)
	}
	id, rest, _ := strings.Cut(strings.TrimPrefix(out, "boot_id="), "\n")
	if want := "hostname=" + m.name + "\nlive=yes\nkubelet=inactive\nagent=active running\nfailed=\n"; uuid.Validate(id) != nil || rest != want {
		t.Errorf("probe printed %q, want boot_id and %q", out, want)
	}
	if _, status, _, _ := d.ssh(m, "kubectl get nodes"); status != 127 {
		t.Errorf("unknown command: status %d", status)
	}
	d.signer = newSigner(t)
	if _, _, _, err := d.ssh(m, "true"); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		t.Errorf("foreign key: %v", err)
	}
	if first == "" {
		t.Error("no host key seen")
	}
}

func TestEachLiveBootHasNewKeysAndBootID(t *testing.T) {
	d := newDatacentre(t, 1, 0)
	d.register(1)
	d.powerOn()
	d.discover()
	m := d.hosts[0]
	id1, _, key1, err := d.ssh(m, "cat /proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	m.PowerOff()
	if _, _, _, err := d.ssh(m, "true"); err == nil {
		t.Error("a host without power answers")
	}
	if err := m.PowerOn(d.iso); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "it answers again with other keys", func() bool {
		id2, _, key2, err := d.ssh(m, "cat /proc/sys/kernel/random/boot_id")
		return err == nil && id2 != id1 && key2 != key1
	})
}

func TestSingleNodeCluster(t *testing.T) {
	d := newDatacentre(t, 1, 0)
	d.balance(6443, "192.0.2.201")
	d.register(1)
	d.powerOn()
	d.discover()
	d.awaitCluster("ready")
	d.call("POST", "/clusters/"+d.clusterID+"/actions/install", nil, nil)
	d.awaitCluster("installing")
	node0 := d.hosts[0]
	own := d.api(node0.address)
	eventually(t, 30*time.Second, "the live system serves the API", func() bool {
		code, _ := fetch(t, own, apiURL+"/readyz")
		return code == http.StatusOK && node0.State().Phase == node.PhaseLive
	})
	eventually(t, 30*time.Second, "the disk is written", func() bool { return node0.State().Phase == node.PhaseWriting })
	if code, _ := fetch(t, own, apiURL+"/readyz"); code == http.StatusOK {
		t.Error("the temporary API answers while the disk is written")
	}
	d.awaitCluster("installed")
	d.checkNodes(t, d.api(services))
	if boots := node0.State().Boots; boots != 2 {
		t.Errorf("booted %d times, want 2", boots)
	}
}

// Operators do not wait for every worker; the installation does.
func TestWorkerThatIsLateIsReported(t *testing.T) {
	d := newDatacentre(t, 3, 3)
	d.balance(6443, "192.0.2.201", "192.0.2.202", "192.0.2.203")
	d.balance(22623, "192.0.2.201", "192.0.2.202", "192.0.2.203")
	d.register(3)
	d.powerOn()
	d.discover()
	d.awaitCluster("ready")
	d.call("POST", "/clusters/"+d.clusterID+"/actions/install", nil, nil)
	late := d.hosts[5]
	eventually(t, 30*time.Second, "the worker reboots", func() bool { return d.listed()[late.hw.UUID.String()].Progress.Stage == "Rebooting" })
	late.PowerOff()
	eventually(t, 30*time.Second, "operators are available", func() bool {
		var c struct {
			Progress struct {
				Finalizing string `json:"finalizing_stage"`
			}
		}
		d.call("GET", "/clusters/"+d.clusterID, nil, &c)
		return c.Progress.Finalizing == "Done"
	})
	if err := late.PowerOn(d.iso); err != nil {
		t.Fatal(err)
	}
	d.awaitCluster("installed")
	if _, info := d.cluster(); info != "Cluster is installed" {
		t.Errorf("status info: %s", info)
	}
}

func TestWrongBootOrderIsReportedAndHealsByItself(t *testing.T) {
	d := newDatacentre(t, 3, 0)
	wrong := d.hosts[0]
	for _, m := range d.hosts[1:] { // the bootstrap host, lowest id, must boot right
		if m.hw.UUID.String() > wrong.hw.UUID.String() {
			wrong = m
		}
	}
	wrong.hw.Boot = []string{"cd", "disk"}
	d.balance(6443, "192.0.2.201", "192.0.2.202", "192.0.2.203")
	d.balance(22623, "192.0.2.201", "192.0.2.202", "192.0.2.203")
	d.register(3)
	d.powerOn()
	d.discover()
	d.awaitCluster("ready")
	d.call("POST", "/clusters/"+d.clusterID+"/actions/install", nil, nil)
	d.awaitHost(wrong, "installing-pending-user-action")
	if state := wrong.State(); state.Phase != node.PhaseLive || state.Boots != 2 {
		t.Errorf("wrong boot: %+v", state)
	}
	wrong.PowerOff()
	if err := wrong.PowerOn(""); err != nil {
		t.Fatal(err)
	}
	d.awaitCluster("installed")
}

func TestPowerCutWhileWritingLeavesTheDiskBlank(t *testing.T) {
	d := newDatacentre(t, 1, 0)
	m := d.hosts[0]
	if err := m.hw.Disk.Install(t.Context(), node.System{Ignition: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	m.hw.Boot = []string{"cd", "disk"} // the old system would win otherwise
	d.register(1)
	d.powerOn()
	d.discover()
	d.awaitCluster("ready")
	d.call("POST", "/clusters/"+d.clusterID+"/actions/install", nil, nil)
	eventually(t, 20*time.Second, "writing has begun", func() bool { return m.State().Phase == node.PhaseWriting })
	m.PowerOff()
	if m.hw.Disk.System() != nil {
		t.Error("half an image counts as a system")
	}
	if err := m.PowerOn(""); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "nothing boots", func() bool { return m.State().Stuck == "no bootable device" })
}

func TestInventoryIsThatOfTheHardware(t *testing.T) {
	d := newDatacentre(t, 1, 0)
	d.hosts[0].hw.DiskSize = 120
	d.register(1)
	d.powerOn()
	d.discover()
	type nic struct {
		Name string
		MAC  string   `json:"mac_address"`
		IPv4 []string `json:"ipv4_addresses"`
	}
	var got struct {
		Hostname   string
		Interfaces []nic
		Disks      []struct {
			ID   string
			Size int64 `json:"size_bytes"`
		}
		CPU    struct{ Count int }
		Memory struct {
			Bytes int64 `json:"physical_bytes"`
		}
	}
	text := d.listed()[d.hosts[0].hw.UUID.String()].Inventory
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Hostname != d.hosts[0].name || got.CPU.Count != 8 || got.Memory.Bytes != 16<<30 || got.Disks[0].Size != 120<<30 {
		t.Errorf("inventory %+v", got)
	}
	if i := got.Interfaces[0]; i.Name != "enp6s18" || i.MAC != "52:54:00:00:00:00" || i.IPv4[0] != "192.0.2.201/24" {
		t.Errorf("interface %+v", i)
	}
}

func TestCancelledInstallationStops(t *testing.T) {
	d := newDatacentre(t, 1, 0)
	d.register(1)
	d.powerOn()
	d.discover()
	m := d.hosts[0]
	d.awaitCluster("ready")
	d.call("POST", "/clusters/"+d.clusterID+"/actions/install", nil, nil)
	eventually(t, 20*time.Second, "the installation has begun", func() bool {
		return d.listed()[m.hw.UUID.String()].Progress.Stage != ""
	})
	d.call("POST", "/clusters/"+d.clusterID+"/actions/cancel", nil, nil)
	eventually(t, 20*time.Second, "the agent stopped it", func() bool {
		out, _, _, _ := d.ssh(m, "journalctl -u agent -n 100")
		return strings.Contains(out, "Step stop-installation")
	})
	eventually(t, 5*time.Second, "nothing is written any more", func() bool { return m.State().Phase == node.PhaseLive })
	if boots := m.State().Boots; boots != 1 || m.hw.Disk.System() != nil {
		t.Errorf("the host has booted %d times, disk %v", boots, m.hw.Disk.System())
	}
}
