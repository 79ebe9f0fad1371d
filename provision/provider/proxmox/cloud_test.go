package proxmox_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// qcow2 is an image of 2 GiB that slipway might have fetched.
func qcow2(t *testing.T) provider.Image {
	t.Helper()
	content := make([]byte, 200_000)
	copy(content, "QFI\xfb")
	binary.BigEndian.PutUint32(content[4:], 3)
	binary.BigEndian.PutUint64(content[24:], 2<<30)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return provider.Image{Name: "slipway-mycluster.lab.test-" + digest[:12] + ".qcow2", Path: path, Size: int64(len(content)), SHA256: digest}
}

func servicesMachine() provider.Machine {
	name := "services." + mark.Cluster
	return provider.Machine{Node: "services", Name: name, Mark: mark, UUID: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)),
		NICs: []provider.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xd2}}}, CPUs: 2, Memory: 2048, Disk: 20}
}

func cloudConfig(t *testing.T, image string) provider.CloudConfig {
	t.Helper()
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	return provider.CloudConfig{Image: image, User: "slipway", Keys: []ssh.PublicKey{key},
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24"), netip.MustParsePrefix("2001:db8::210/64")},
		Gateways:  []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Nameservers: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::53")}}
}

// takesDisks is a datacentre whose file storages take disks to import.
func takesDisks(cfg *pve.Config) {
	cfg.Storages[0].Content = append(cfg.Storages[0].Content, "import")
}

func putDisk(t *testing.T, p *proxmox.Provider, places ...string) string {
	t.Helper()
	ref, err := p.PutDisk(bounded(t), qcow2(t), places, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// With no right beside those that nodes need.
func TestAMachineOfACloudImage(t *testing.T) {
	d := newDatacentre(t, takesDisks)
	p := d.open()
	m, err := p.Allocate(bounded(t), servicesMachine(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := cloudConfig(t, putDisk(t, p, m.Place))
	got, err := p.EnsureCloud(bounded(t), m, c)
	if err != nil {
		t.Fatal(err)
	}
	if want := "[] [] 20 off"; want != strings.Join([]string{cmpText(got.Adrift), cmpText(got.Disks), "20", string(got.Power)}, " ") || got.Disk != 20 {
		t.Errorf("machine: %+v", got)
	}
	conf := d.vm(m.ID).Config
	want := map[string]string{
		"scsi0":  "local-lvm:vm-" + m.ID + "-disk-0,discard=on,iothread=1,size=20G,ssd=1",
		"scsi30": "local-lvm:vm-" + m.ID + "-cloudinit,media=cdrom,size=4M", "ide2": "none,media=cdrom", "boot": "order=scsi0;ide2",
		"ciuser": "slipway", "ciupgrade": "0", "ipconfig0": "ip=192.0.2.210/24,ip6=2001:db8::210/64,gw=192.0.2.1", "nameserver": "192.0.2.1 2001:db8::53",
		"sshkeys": "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop", "onboot": "1", "agent": "",
	}
	have := map[string]string{}
	for option := range want {
		have[option] = conf[option]
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if err := p.PowerOn(bounded(t), got); err != nil {
		t.Error(err)
	}
	if err := p.Release(bounded(t), got); err != nil || len(d.machines()) != 0 {
		t.Errorf("released: %v, left %v", err, d.machines())
	}
}

func cmpText[T any](all []T) string {
	if len(all) == 0 {
		return "[]"
	}
	return "[…]"
}

// Whatever was lost on the way, and although the image is gone by then.
func TestAMachineOfACloudImageIsMadeOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(*datacentre)
	}{
		{"as it should be", func(*datacentre) {}},
		{"the answer to its creation is lost", func(d *datacentre) { d.loseCreateReply(true) }},
		{"the call is lost", func(d *datacentre) { d.loseCreateReply(false) }},
		{"the answer to the growing of its disk is lost", func(d *datacentre) { d.intercept = onceAfter(d, "/resize", true) }},
		{"the call to grow it is lost", func(d *datacentre) { d.intercept = onceAfter(d, "/resize", false) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, takesDisks)
			p := d.open()
			m, err := p.Allocate(bounded(t), servicesMachine(), nil)
			if err != nil {
				t.Fatal(err)
			}
			config := cloudConfig(t, putDisk(t, p, m.Place))
			c.lose(d)
			first, err := p.EnsureCloud(bounded(t), m, config)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Drop(bounded(t), config.Image); err != nil {
				t.Fatal(err)
			}
			again, err := d.open().EnsureCloud(bounded(t), m, config)
			if diff := cmp.Diff(first, again); err != nil || diff != "" || again.Disk != 20 {
				t.Errorf("again: %v (-first +again):\n%s", err, diff)
			}
			if n := len(d.machines()); n != 1 {
				t.Errorf("%d machines", n)
			}
		})
	}
}

// onceAfter drops the connection of the first request to a path that ends so,
// carried out or not.
func onceAfter(d *datacentre, end string, carriedOut bool) func(http.ResponseWriter, *http.Request) bool {
	var done bool
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if done || !strings.HasSuffix(r.URL.Path, end) {
			return false
		}
		done = true
		if carriedOut {
			d.swallow(r)
		}
		panic(http.ErrAbortHandler)
	}
}

func TestACloudMachineThatIsOtherwiseIsLeftSo(t *testing.T) {
	d := newDatacentre(t, takesDisks)
	p := d.open()
	m, err := p.Allocate(bounded(t), servicesMachine(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := cloudConfig(t, putDisk(t, p, m.Place))
	if _, err := p.EnsureCloud(bounded(t), m, c); err != nil {
		t.Fatal(err)
	}
	before := d.vm(m.ID).Config
	c.User, c.Addresses[0] = "admin", netip.MustParsePrefix("192.0.2.211/24")
	c.Keys = append(c.Keys, c.Keys[0])
	m.CPUs, m.Disk = 4, 10
	got, err := p.EnsureCloud(bounded(t), m, c)
	want := []string{"vCPUs: asked for 4, it has 2", "disk in GiB: asked for 10, it has 20",
		"ciuser of its cloud-init: asked for admin, it has slipway",
		"ipconfig0 of its cloud-init: asked for ip=192.0.2.211/24,ip6=2001:db8::210/64,gw=192.0.2.1, it has ip=192.0.2.210/24,ip6=2001:db8::210/64,gw=192.0.2.1",
		"the SSH keys of its cloud-init are not those asked for"}
	if diff := cmp.Diff(want, got.Adrift); err != nil || diff != "" {
		t.Errorf("adrift (-want +got):\n%s%v", diff, err)
	}
	if diff := cmp.Diff(before, d.vm(m.ID).Config); diff != "" {
		t.Errorf("it was changed (-before +after):\n%s", diff)
	}
}

func TestWhatIsNoCloudMachine(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*provider.Machine, *provider.CloudConfig)
		want   string
	}{
		{"an image of another kind", func(_ *provider.Machine, c *provider.CloudConfig) { c.Image = "local:iso/x.iso" }, `"local:iso/x.iso" is not a disk image that was stored`},
		{"options in the image", func(_ *provider.Machine, c *provider.CloudConfig) { c.Image += ",serial=1" }, `"local:import/x.qcow2,serial=1" is not a disk image that was stored`},
		{"a user with a line end", func(_ *provider.Machine, c *provider.CloudConfig) { c.User = "a\nb" }, `"a\nb" is not the name of a user`},
		{"no key", func(_ *provider.Machine, c *provider.CloudConfig) { c.Keys = nil }, "no SSH key would let anybody in"},
		{"no address", func(_ *provider.Machine, c *provider.CloudConfig) { c.Addresses, c.Gateways = nil, nil }, "it has no address"},
		{"two addresses of a family", func(_ *provider.Machine, c *provider.CloudConfig) { c.Addresses[1] = c.Addresses[0] }, "address 192.0.2.210/24: one of each family is possible"},
		{"a gateway of a family without address", func(_ *provider.Machine, c *provider.CloudConfig) { c.Addresses = c.Addresses[1:] }, "gateway 192.0.2.1: one for each address is possible"},
		{"no slot left", func(m *provider.Machine, _ *provider.CloudConfig) { m.Disks = make30() }, "there is no slot left for the drive of cloud-init"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, takesDisks)
			m, config := servicesMachine(), cloudConfig(t, "local:import/x.qcow2")
			m.ID, m.Place = "20000", "pve1"
			c.change(&m, &config)
			_, err := d.open().EnsureCloud(bounded(t), m, config)
			if err == nil || err.Error() != "machine services.mycluster.lab.test: "+c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func make30() []int {
	all := make([]int, 30)
	for i := range all {
		all[i] = 1
	}
	return all
}

func TestDiskImagesAreListedAndDropped(t *testing.T) {
	d := newDatacentre(t, takesDisks)
	p := d.open()
	disk := putDisk(t, p, "pve1", "pve2")
	boot, err := p.Put(bounded(t), iso(t, 1000), []string{"pve1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	putDisk(t, p, "pve1", "pve2")
	if n := d.count(http.MethodPost, "/nodes/{node}/storage/{storage}/upload"); n != 3 {
		t.Errorf("%d uploads, want 3", n)
	}
	disks, err := p.Disks(bounded(t), mark)
	if diff := cmp.Diff([]string{disk}, disks); err != nil || diff != "" {
		t.Errorf("disks (-want +got):\n%s%v", diff, err)
	}
	images, err := p.Images(bounded(t), mark)
	if diff := cmp.Diff([]string{boot}, images); err != nil || diff != "" {
		t.Errorf("images (-want +got):\n%s%v", diff, err)
	}
	for _, ref := range append(images, disks...) {
		if err := p.Drop(bounded(t), ref); err != nil {
			t.Error(err)
		}
	}
	if left := d.server.Images(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestOlderServersTakeNoDiskImages(t *testing.T) {
	d := newDatacentre(t, func(cfg *pve.Config) { cfg.Version = "8.1.4" })
	p := d.open()
	const want = "takes no disk images, 8.4 does"
	if _, err := p.PutDisk(bounded(t), qcow2(t), []string{"pve1"}, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if refs, err := p.Disks(bounded(t), mark); err != nil || len(refs) != 0 {
		t.Errorf("images %v, error %v", refs, err)
	}
}

func TestCheckLooksForWhatACloudImageNeeds(t *testing.T) {
	want := provider.Request{Machines: []provider.Machine{servicesMachine()}, Cloud: true, CloudBytes: 300 << 20}
	for _, c := range []struct {
		name  string
		world func(*pve.Config)
		tell  []provider.Problem
	}{
		{"nothing", takesDisks, nil},
		{"content of the storage", nil, []provider.Problem{{What: `storage "local" on node "pve1" does not take disk images to import`,
			Hint: "add it: pvesm set local --content iso,vztmpl,import", Fatal: true}}},
		{"a release", func(cfg *pve.Config) { takesDisks(cfg); cfg.Version = "8.3.5" }, []provider.Problem{{
			What: "HOST runs Proxmox VE 8.3.5, which takes no disk images: 8.4 does", Hint: "upgrade it, or make the services host by hand and write mode = \"ssh\"", Fatal: true}}},
		{"room", func(cfg *pve.Config) { takesDisks(cfg); cfg.Storages[0].Size = 100 << 20 }, []provider.Problem{{
			What: `the cloud image and the boot image have 300 MiB, and storage "local" on node "pve1" has 100 MiB free`,
			Hint: "remove images that are no longer used: pvesm list local", Fatal: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, c.world)
			cfg := d.config()
			cfg.Nodes = []string{"pve1"}
			got := d.openWith(cfg).Check(bounded(t), want)
			for i := range got {
				got[i].What = d.withoutHost(got[i].What)
			}
			checkProblems(t, got, c.tell...)
		})
	}
}
