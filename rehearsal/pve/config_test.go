package pve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNetworks(t *testing.T) {
	l := newLab(t, func(c *Config) {
		threeNodes(c)
		c.Bridges, c.NodeBridges = []string{"vmbr0", "vmbr1"}, map[string][]string{"pve2": {"vmbr9"}}
		c.VNets = []VNet{{"blue", "zone1"}}
		c.Tokens[0].ACL = append(c.Tokens[0].ACL, ACL{Path: "/sdn/zones/zone1/blue", Privileges: []string{"SDN.Use"}, Propagate: true},
			ACL{Path: "/sdn/zones/localnetwork/vmbr1/7", Privileges: []string{"SDN.Use"}})
	})
	vmbr := func(names ...string) (list []map[string]any) {
		for _, name := range names {
			kind := "bridge"
			if name == "blue" {
				kind = "vnet"
			}
			list = append(list, map[string]any{"iface": name, "type": kind})
		}
		return list
	}
	cases := []struct {
		name, token, path string
		want              []map[string]any
	}{
		{"bridges, also those of which only a VLAN may be used", "lab", "/nodes/pve/network?type=bridge", vmbr("vmbr0", "vmbr1")},
		{"bridges and VNets", "lab", "/nodes/pve/network?type=any_bridge", vmbr("vmbr0", "vmbr1", "blue")},
		{"everything", "lab", "/nodes/pve/network?type=include_sdn", vmbr("vmbr0", "vmbr1", "blue")},
		{"VNets", "lab", "/nodes/pve/network?type=vnet", vmbr("blue")},
		{"local bridges", "lab", "/nodes/pve/network?type=any_local_bridge", vmbr("vmbr0", "vmbr1")},
		{"another node has others", "admin", "/nodes/pve2/network?type=bridge", vmbr("vmbr9")},
		{"nothing without rights", "none", "/nodes/pve/network", nil},
	}
	for _, c := range cases {
		client := l.as(c.token)
		if diff := cmp.Diff(c.want, pick(client.send(client.request("GET", base+c.path, "")).Data, "iface", "type")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	l.machine()
	for net0, want := range map[string]string{
		"virtio,bridge=blue":                   "200 OK",
		"virtio,bridge=blue,tag=3":             "200 OK",
		"virtio,bridge=vmbr1,tag=7":            "200 OK",
		"virtio,bridge=vmbr1":                  "403 Permission check failed (/sdn/zones/localnetwork/vmbr1, SDN.Use)",
		"virtio,bridge=vmbr1,tag=8":            "403 Permission check failed (/sdn/zones/localnetwork/vmbr1/8, SDN.Use)",
		"virtio,bridge=vmbr1,tag=7,trunks=7-8": "403 Permission check failed (/sdn/zones/localnetwork/vmbr1/8, SDN.Use)",
	} {
		if got := l.call("PUT", "/nodes/pve/qemu/100/config", "net0", net0).Status; got != want {
			t.Errorf("%s: %s, want %s", net0, got, want)
		}
	}
}

func TestBridgesNeedNoPrivilegeBefore8(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Version = "7.4.1"; c.Bridges = []string{"vmbr5"} })
	if got := l.task("POST", "/nodes/pve/qemu", append(sound("100"), "net0", "virtio,bridge=vmbr5")...); got != "OK" {
		t.Errorf("create: %s", got)
	}
}

func TestWhatStartFindsOut(t *testing.T) {
	cases := []struct {
		name   string
		params []string
		want   string
	}{
		{"a bridge that is missing", []string{"net0", "virtio,bridge=vmbr9"}, "bridge 'vmbr9' does not exist"},
		{"a second one", []string{"net1", "virtio,bridge=vmbr9"}, "bridge 'vmbr9' does not exist"},
		{"an MTU beyond the bridge's", []string{"net0", "virtio,bridge=vmbr0,mtu=9000"}, "netdev net0: MTU '9000' is bigger than the bridge MTU '1500'" +
			" - adjust the MTU for the network device in the VM configuration, while ensuring that the bridge is configured as desired."},
		{"an MTU that is none", []string{"net0", "virtio,bridge=vmbr0,mtu=500"}, "netdev net0: MTU '500' is smaller than the IP minimum MTU '576'"},
		{"the bridge's own MTU", []string{"net0", "virtio,bridge=vmbr0,mtu=1"}, "OK"},
		{"one that fits another bridge", []string{"net0", "virtio,bridge=jumbo,mtu=9000"}, "OK"},
		{"firmware without a disk for its variables", []string{"bios", "ovmf"}, "WARNINGS: 1"},
		{"with one", []string{"bios", "ovmf", "efidisk0", "local-lvm:1,efitype=4m", "tpmstate0", "local-lvm:1,version=v2.0"}, "OK"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.Bridges = []string{"vmbr0", "jumbo"}; c.BridgeMTU = map[string]int{"vmbr0": 1500} }).as("admin")
			if got := l.task("POST", "/nodes/pve/qemu", append(sound("100"), c.params...)...); got != "OK" {
				t.Fatalf("create: %s", got)
			}
			if got := l.task("POST", "/nodes/pve/qemu/100/status/start"); got != c.want {
				t.Errorf("start: %q, want %q", got, c.want)
			}
		})
	}
}

func TestOptionsAndWhoMaySetThem(t *testing.T) {
	root := func(option string) string { return "500 only root can set '" + option + "' config" }
	cases := []struct{ option, value, want string }{
		{"cpu", "host", "200 OK"},
		{"cpu", "x86-64-v3,flags=+aes", "200 OK"},
		{"cpu", "EPYC-Rome-v4", "200 OK"},
		{"cpu", "8086", "400 Parameter verification failed."},
		{"numa", "1", "200 OK"},
		{"numa0", "cpus=0-3,memory=1024", "200 OK"},
		{"numa8", "cpus=0", "400 Parameter verification failed."},
		{"serial0", "socket", "200 OK"},
		{"serial1", "/dev/ttyS0", "500 only root can set 'serial1' config for real devices"},
		{"usb0", "spice", "200 OK"},
		{"usb1", "host=1234:5678", "500 only root can set 'usb1' config for real devices"},
		{"hostpci0", "host=01:00", "500 only root can set 'hostpci0' config for non-mapped devices"},
		{"watchdog", "model=i6300esb,action=reset", "200 OK"},
		{"net1", "virtio,bridge=vmbr0,tag=7,mtu=1500", "200 OK"},
		{"scsi1", "local-lvm:8", "200 OK"},
		{"efidisk0", "local-lvm:1,efitype=4m,pre-enrolled-keys=0", "200 OK"},
		{"tpmstate0", "local-lvm:1,version=v2.0", "200 OK"},
		{"balloon", "20000", "500 balloon value too large (must be smaller than assigned memory)"},
		{"balloon", "0", "200 OK"},
		{"startup", "order=1", "403 Permission check failed (/, Sys.Modify)"},
		{"hugepages", "2", root("hugepages")},
		{"hookscript", "local:snippets/x", root("hookscript")},
		{"args", "-S", root("args")},
		{"affinity", "0-3", root("affinity")},
		{"lock", "backup", root("lock")},
		{"vmgenid", "1", root("vmgenid")},
		{"boot", "order=scsi0;ide2", "200 OK"},
		{"boot", "order=scsi0;sata5", "500 invalid bootorder: device 'sata5' does not exist'"},
		{"name", "under_score", "400 Parameter verification failed."},
		{"tags", "a b", "200 OK"},
		{"tags", "a!b", "400 Parameter verification failed."},
		{"scsi2", "/dev/sda", "500 Only root can pass arbitrary filesystem paths."},
		{"scsi2", "none", "200 OK"},
	}
	l := newLab(t, nil)
	l.machine()
	for _, c := range cases {
		if got := l.call("PUT", "/nodes/pve/qemu/100/config", c.option, c.value).Status; got != c.want {
			t.Errorf("%s=%s: %s, want %s", c.option, c.value, got, c.want)
		}
	}
	if got, want := l.srv.VMs()[0].Config["tpmstate0"], "size=4M,version=v2.0"; !strings.HasSuffix(got, want) {
		t.Errorf("tpmstate0 is %s, want it to end in %s", got, want)
	}
}

func TestDisksThatAreTakenOutAreKeptAsUnused(t *testing.T) {
	l := newLab(t, nil)
	l.machine("scsi1", "local-lvm:8")
	if r := l.call("PUT", "/nodes/pve/qemu/100/config", "delete", "scsi1"); r.Status != "200 OK" {
		t.Fatal(r)
	}
	conf := l.srv.VMs()[0].Config
	if got := conf["unused0"]; got != "local-lvm:vm-100-disk-1" || conf["scsi1"] != "" {
		t.Errorf("unused0 is %q, scsi1 %q", got, conf["scsi1"])
	}
	if r := l.call("PUT", "/nodes/pve/qemu/100/config", "scsi0", "local-lvm:16"); r.Status != "200 OK" || l.srv.VMs()[0].Config["unused1"] != "local-lvm:vm-100-disk-0" {
		t.Errorf("another disk in its place: %s, %v", r.Status, l.srv.VMs()[0].Config)
	}
	l.call("PUT", "/nodes/pve/qemu/100/config", "delete", "unused1")
	if r := l.call("PUT", "/nodes/pve/qemu/100/config", "delete", "unused0"); r.Status != "200 OK" || len(l.srv.volumes) != 1 {
		t.Errorf("%s, left %v", r.Status, l.srv.volumes)
	}
}

func TestProtectionKeepsDisks(t *testing.T) {
	l := newLab(t, nil)
	l.machine("protection", "1")
	got := l.call("PUT", "/nodes/pve/qemu/100/config", "delete", "scsi0").Status
	if want := "500 can't remove drive 'scsi0' - protection mode enabled"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
