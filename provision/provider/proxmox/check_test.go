package proxmox_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

func checkProblems(t *testing.T, got []provider.Problem, want ...provider.Problem) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(provider.Problem{}, "Err")); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func with(m provider.Machine, change func(*provider.Machine)) provider.Request {
	change(&m)
	return provider.Request{Machines: []provider.Machine{m}}
}

func TestCheck(t *testing.T) {
	asIs := with(node(0), func(*provider.Machine) {})
	one := func(c *proxmox.Config) { c.Nodes = []string{"pve1"} }
	for _, c := range []struct {
		name  string
		world func(*pve.Config)
		cfg   func(*proxmox.Config)
		want  provider.Request
		tell  []provider.Problem
	}{
		{name: "nothing is wrong", cfg: one, want: asIs},
		{name: "nothing is wrong with Proxmox VE 8", world: func(c *pve.Config) { c.Version = "8.4.1" }, cfg: one, want: asIs},
		{name: "an ISO storage of each node's own", want: asIs, tell: []provider.Problem{{
			What: `storage "local" is another one on each of 2 nodes: the boot image is uploaded to each that needs it`,
			Hint: "a storage that the nodes share (NFS, CIFS, CephFS) gets it once"}}},
		{name: "a storage that cannot hold disks", world: func(c *pve.Config) { c.Storages[1].Type, c.Storages[1].Content = "cephfs", []string{"iso"} }, cfg: one, want: asIs,
			tell: []provider.Problem{{What: `storage "local-lvm" on node "pve1" is of type cephfs, which cannot hold disks`, Hint: "set storage = { disk = … } to one of: ", Fatal: true}}},
		{name: "qcow2 where disks are raw", cfg: func(c *proxmox.Config) { one(c); c.Storage.Format = "qcow2" }, want: asIs,
			tell: []provider.Problem{{What: `storage "local-lvm" on node "pve1" is of type lvmthin, whose disks are raw and never qcow2`, Hint: "leave format out of storage", Fatal: true}}},
		{name: "jumbo frames over a plain bridge", cfg: one, want: with(node(0), func(m *provider.Machine) { m.NICs = []provider.NIC{{MAC: m.NICs[0].MAC, MTU: 9000}} }),
			tell: []provider.Problem{{What: `machines ask for an MTU of 9000, and that of bridge "vmbr0" on node "pve1" is 1500`,
				Hint: "give the bridge the MTU in System, Network of the node, or write mtu = 1500", Fatal: true}}},
		{name: "a VLAN that the token may not use", cfg: one, world: func(c *pve.Config) {
			c.Tokens[0].ACL = slices.Clone(leastRights)
			c.Tokens[0].ACL[3] = pve.ACL{Path: "/sdn/zones/localnetwork/vmbr0", Privileges: []string{"SDN.Use"}} // does not propagate
		}, want: with(node(0), func(m *provider.Machine) { m.NICs = []provider.NIC{{MAC: m.NICs[0].MAC, VLAN: 40}} }),
			tell: []provider.Problem{lacks("SDN.Use", "/sdn/zones/localnetwork/vmbr0/40", "SlipwayNetwork", "SDN.Use")}},
		{name: "a custom CPU model", cfg: func(c *proxmox.Config) { one(c); c.Hardware.CPUType = "custom-lab" }, want: asIs,
			tell: []provider.Problem{lacks("Sys.Audit", "/nodes", "SlipwayNodes", "Sys.Audit")}},
		{name: "more memory than a node has", world: auditor, want: with(node(0), func(m *provider.Machine) { m.Memory = 192 << 10 }), tell: []provider.Problem{
			{What: `storage "local" is another one on each of 2 nodes: the boot image is uploaded to each that needs it`,
				Hint: "a storage that the nodes share (NFS, CIFS, CephFS) gets it once"},
			{What: "control-0.mycluster.lab.test asks for 196608 MiB of memory, and no node has more than 131072 MiB", Hint: "write less for memory", Fatal: true}}},
		{name: "Proxmox VE 7", world: func(c *pve.Config) { c.Version = "7.4.17" }, want: asIs,
			tell: []provider.Problem{{What: "HOST runs Proxmox VE 7.4.17", Hint: "upgrade it to Proxmox VE 8 or later", Fatal: true}}},
		{name: "a node that is not there", cfg: func(c *proxmox.Config) { c.Nodes = []string{"pve1", "pve7"} }, want: asIs,
			tell: []provider.Problem{{What: `node "pve7" is not part of the cluster at HOST`, Hint: "there are: pve1, pve2", Fatal: true}}},
		{name: "storages that are not there", cfg: func(c *proxmox.Config) {
			c.Nodes, c.Storage = []string{"pve1"}, proxmox.Storage{Disk: "fast", ISO: "nas"}
		}, want: asIs, tell: []provider.Problem{
			absent(lacks("Datastore.AllocateSpace, Datastore.Audit", "/storage/fast", "SlipwayDisks", "Datastore.AllocateSpace Datastore.Audit"), "fast"),
			absent(lacks("Datastore.AllocateTemplate, Datastore.Audit", "/storage/nas", "SlipwayImages", "Datastore.AllocateTemplate Datastore.Audit"), "nas"),
			warning(lacks("Datastore.Allocate", "/storage/nas", "SlipwayCleanup", "Datastore.Allocate"), ": `slipway down` leaves the boot image there"),
		}},
		{name: "a storage that takes no ISO images", world: func(c *pve.Config) { c.Storages[0].Content = []string{"vztmpl"} },
			cfg: one, want: asIs,
			tell: []provider.Problem{{What: `storage "local" on node "pve1" does not take ISO images`, Hint: "add it: pvesm set local --content vztmpl,iso", Fatal: true}}},
		{name: "a bridge that is not there", cfg: one,
			want: with(node(0), func(m *provider.Machine) { m.NICs = []provider.NIC{{MAC: m.NICs[0].MAC, Bridge: "vmbr9"}} }),
			tell: []provider.Problem{{What: `the token lacks SDN.Use on /sdn/zones/localnetwork/vmbr9, or bridge "vmbr9" does not exist on pve1`,
				Hint: lacks("SDN.Use", "/sdn/zones/localnetwork/vmbr9", "SlipwayNetwork", "SDN.Use").Hint +
					"\n# or set bridge in the network block to one of: vmbr0\n# of a VNet of SDN the path is /sdn/zones/ZONE/vmbr9", Fatal: true}}},
		{name: "a bridge that is not there, for a token that might use it", world: func(c *pve.Config) { c.Tokens[0].ACL = allRights },
			want: with(node(0), func(m *provider.Machine) { m.NICs = []provider.NIC{{MAC: m.NICs[0].MAC, Bridge: "vmbr9"}} }),
			tell: []provider.Problem{{What: `storage "local" is another one on each of 2 nodes: the boot image is uploaded to each that needs it`,
				Hint: "a storage that the nodes share (NFS, CIFS, CephFS) gets it once"},
				{What: `bridge "vmbr9" does not exist on pve1, pve2`, Hint: "there are: vmbr0; set bridge in the network block", Fatal: true}}},
		{name: "a storage that is not on the node", world: func(c *pve.Config) { c.Tokens[0].ACL = allRights }, cfg: func(c *proxmox.Config) { one(c); c.Storage.Disk = "fast" }, want: asIs,
			tell: []provider.Problem{{What: `storage "fast" is not on node "pve1"`, Hint: "set storage = { disk = … } to one of: local-lvm", Fatal: true}}},
		{name: "rights that are missing", cfg: one, world: func(c *pve.Config) {
			c.Tokens[0].ACL = slices.Clone(leastRights)
			c.Tokens[0].ACL[0].Privileges = slices.DeleteFunc(slices.Clone(leastRights[0].Privileges), func(p string) bool {
				return p == "VM.PowerMgmt" || p == "VM.Config.CDROM"
			})
		}, want: asIs, tell: []provider.Problem{lacks("VM.PowerMgmt, VM.Config.CDROM", "/pool/slipway", "SlipwayMachines",
			"Pool.Audit VM.Allocate VM.Audit VM.PowerMgmt VM.Config.CDROM VM.Config.CPU VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options")}},
		{name: "more vCPUs than threads", world: auditor, cfg: one, want: with(node(0), func(m *provider.Machine) { m.CPUs = 33 }),
			tell: []provider.Problem{{What: "control-0.mycluster.lab.test asks for 33 vCPUs, and no node has more than 32 threads",
				Hint: "write cpus = 32 or less", Fatal: true}}},
		{name: "more memory than there is", world: auditor, cfg: one,
			want: with(node(0), func(m *provider.Machine) { m.Memory = 1 << 20 }),
			tell: []provider.Problem{{What: "the machines ask for 1048576 MiB of memory, and of pve1's 131072 MiB only 129024 MiB are free",
				Hint: "ask for fewer or smaller machines, or more nodes", Fatal: true}}},
		{name: "no room for the image", world: func(c *pve.Config) { c.Storages[0].Size = 100 << 20 },
			cfg:  one,
			want: provider.Request{Image: "slipway-a.iso", ImageBytes: 1 << 30},
			tell: []provider.Problem{{What: `the boot image has 1024 MiB, and storage "local" on node "pve1" has 100 MiB free`,
				Hint: "remove images that are no longer used: pvesm list local --content iso", Fatal: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, c.world)
			cfg := d.config()
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			p := d.openWith(cfg)
			got := p.Check(bounded(t), c.want)
			for i := range got {
				got[i].What = d.withoutHost(got[i].What)
			}
			checkProblems(t, got, c.tell...)
		})
	}
}

// auditor may see the size of the nodes.
func auditor(c *pve.Config) {
	c.Tokens[0].ACL = append(slices.Clone(leastRights), pve.ACL{Path: "/nodes", Propagate: true, Privileges: []string{"Sys.Audit"}})
}

// absent adds what else a storage without rights may be.
func absent(p provider.Problem, storage string) provider.Problem {
	p.What += fmt.Sprintf(", or storage %q does not exist", storage)
	return p
}

func lacks(missing, path, role, privileges string) provider.Problem {
	return provider.Problem{Fatal: true, What: "the token lacks " + missing + " on " + path,
		Hint: "pveum role add " + role + " --privs \"" + privileges + "\" || pveum role modify " + role + " --privs \"" + privileges + "\"\n" +
			"pveum acl modify " + path + " --users 'slipway@pve' --roles " + role + "\n" +
			"pveum acl modify " + path + " --tokens 'slipway@pve!test' --roles " + role}
}

func warning(p provider.Problem, consequence string) provider.Problem {
	p.Fatal = false
	p.What += consequence
	return p
}

func TestCheckFindsClashes(t *testing.T) {
	d := newDatacentre(t, func(c *pve.Config) { c.Tokens[0].ACL = allRights })
	d.server.AddVM(pve.VMState{ID: 101, Name: node(0).Name, Node: "pve2"})
	d.server.AddVM(pve.VMState{ID: 102, Name: "old", Node: "pve1", Running: true,
		Config: map[string]string{"net0": "e1000=02:00:00:00:00:01,bridge=vmbr0", "ipconfig0": "ip=192.0.2.12/24,gw=192.0.2.1"}})
	cfg := d.config()
	cfg.Nodes = []string{"pve1"}
	p := d.openWith(cfg)
	own := create(t, p, node(2))
	if err := p.PowerOn(bounded(t), own); err != nil {
		t.Fatal(err)
	}
	checkProblems(t, p.Check(bounded(t), provider.Request{Machines: []provider.Machine{node(0), node(1), node(2)},
		Addresses: map[string][]netip.Addr{node(2).Name: {netip.MustParseAddr("192.0.2.12")}}}),
		provider.Problem{What: `VM 101 on node "pve2" is named control-0.mycluster.lab.test too, and is not slipway's`,
			Hint: "rename it or remove it, unless the two are to stand side by side"},
		provider.Problem{What: `MAC address 02:00:00:00:00:01 of control-1.mycluster.lab.test belongs to VM 102 (old) on node "pve1"`,
			Hint: "give the node another address with macs, or stop that machine", Fatal: true},
		provider.Problem{What: `address 192.0.2.12 of control-2.mycluster.lab.test is that of VM 102 (old) on node "pve1", by its cloud-init`,
			Hint: "give the node another address, or that machine", Fatal: true})
}

// A hypervisor whose clock is off is told of, with the direction.
func TestCheckComparesClocks(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration
		want []provider.Problem
	}{
		{-20 * time.Second, nil},
		{10 * time.Minute, []provider.Problem{{What: "the clock of HOST is 10m0s ahead of this host's",
			Hint: "set the clocks right on both: `timedatectl` there and here; machines start with the clock of their node"}}},
		{-10 * time.Minute, []provider.Problem{{What: "the clock of HOST is 10m0s behind this host's",
			Hint: "set the clocks right on both: `timedatectl` there and here; machines start with the clock of their node"}}},
	} {
		d := newDatacentre(t, func(cfg *pve.Config) { cfg.Faults = []pve.Fault{{Kind: pve.ClockSkew, Delay: c.off}} })
		cfg := d.config()
		cfg.Nodes = []string{"pve1"}
		got := d.openWith(cfg).Check(bounded(t), provider.Request{Machines: []provider.Machine{node(0)}})
		for i := range got {
			got[i].What = regexp.MustCompile(`\b(9m59|10m0|10m1)s`).ReplaceAllString(d.withoutHost(got[i].What), "10m0s")
		}
		checkProblems(t, got, c.want...)
	}
}
