package pve

import (
	"crypto/ed25519"
	"encoding/binary"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

// qcow2 is the header of an image of that many bytes.
func qcow2(size int64) string {
	head := make([]byte, 104)
	copy(head, "QFI\xfb")
	binary.BigEndian.PutUint32(head[4:], 3)
	binary.BigEndian.PutUint64(head[24:], uint64(size))
	return string(head)
}

// takesDisks gives the lab's file storage the content of disks to import.
func takesDisks(c *Config) { c.Storages[0].Content = append(c.Storages[0].Content, "import") }

func (l *lab) uploadDisk(name, content string) string {
	l.t.Helper()
	r := l.send(l.uploadRequest(field("content", "import") + filePart(name, content) + end))
	if _, began := r.Data.(string); !began {
		return r.Status + r.Errors["content"] + r.Errors["filename"]
	}
	return l.await(r)
}

func TestUploadOfDisks(t *testing.T) {
	backed := []byte(qcow2(1 << 30))
	backed[15] = 1
	for _, c := range []struct{ name, file, content, version, want string }{
		{"qcow2", "x.qcow2", qcow2(1 << 30), "", "OK"},
		{"raw", "x.raw", "anything", "", "OK"},
		{"no qcow2 under that name", "x.qcow2", strings.Repeat("x", 100), "", "failed to query file information with qemu-img"},
		{"a name of no kind of disk", "x.img", qcow2(1 << 30), "", "400 Parameter verification failed.invalid filename or wrong extension"},
		{"before 8.4 nothing but CDs and templates", "x.qcow2", qcow2(1 << 30), "8.3.5",
			"400 Parameter verification failed.value 'import' does not have a value in the enumeration 'iso, vztmpl'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, func(cfg *Config) { takesDisks(cfg); cfg.Version = c.version; withoutAgent(cfg) })
			if got := l.uploadDisk(c.file, c.content); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	l := newLab(t, takesDisks)
	if got := l.uploadDisk("x.qcow2", string(backed)); !strings.HasPrefix(got, "backing file not allowed for untrusted image '") {
		t.Errorf("with a backing file: %q", got)
	}
}

// withoutAgent takes the privilege out that release 9 brought.
func withoutAgent(c *Config) {
	for i := range c.Tokens {
		acls := append([]ACL(nil), c.Tokens[i].ACL...)
		for j, acl := range acls {
			var privs []string
			for _, p := range acl.Privileges {
				if p != "VM.GuestAgent.Audit" {
					privs = append(privs, p)
				}
			}
			acls[j].Privileges = privs
		}
		c.Tokens[i].ACL = acls
	}
}

func TestADiskIsImported(t *testing.T) {
	l := newLab(t, takesDisks)
	if got := l.uploadDisk("x.qcow2", qcow2(2<<30)); got != "OK" {
		t.Fatal(got)
	}
	l.machine("scsi0", "local-lvm:0,import-from=local:import/x.qcow2,discard=on", "scsi30", "local-lvm:cloudinit", "boot", "order=scsi0;ide2")
	conf := l.call("GET", "/nodes/pve/qemu/100/config").Data.(map[string]any)
	got := []any{conf["scsi0"], conf["scsi30"]}
	want := []any{"local-lvm:vm-100-disk-0,discard=on,size=2G", "local-lvm:vm-100-cloudinit,media=cdrom,size=4M"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drives (-want +got):\n%s", diff)
	}
	for _, step := range []struct{ name, disk, size, want string }{
		{"larger", "scsi0", "20G", "OK"},
		{"to what it is", "scsi0", "20G", "OK"},
		{"by something", "scsi0", "+512M", "OK"},
		{"smaller", "scsi0", "20G", "shrinking disks is not supported"},
		{"a CD", "scsi30", "20G", "you can't resize a cdrom"},
		{"nothing", "scsi1", "20G", "disk 'scsi1' does not exist"},
	} {
		if got := l.task("PUT", "/nodes/pve/qemu/100/resize", "disk", step.disk, "size", step.size); got != step.want {
			t.Errorf("resize %s: %q, want %q", step.name, got, step.want)
		}
	}
	if got := l.task("POST", "/nodes/pve/qemu/100/status/start"); got != "OK" {
		t.Errorf("start: %q", got)
	}
	if vm := l.power.last; vm.CD != "" || vm.Disk != 20 || vm.Image != "x.qcow2" {
		t.Errorf("it starts with CD %q and a disk of %d GiB with %q", vm.CD, vm.Disk, vm.Image)
	}
}

func TestWhatIsNotImported(t *testing.T) {
	for _, c := range []struct{ name, option, value, want string }{
		{"an image that is not there fails in the task", "scsi0", "local-lvm:0,import-from=local:import/none.qcow2", "unable to create VM 100 - failed to stat '"},
		{"a disk with a size", "scsi0", "local-lvm:20,import-from=local:import/x.qcow2",
			"400 Parameter verification failed.'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"},
		{"a CD", "scsi0", "local-lvm:0,import-from=local:iso/x.iso",
			"400 Parameter verification failed.local:iso/x.iso has wrong type 'iso' - needs to be 'images' or 'import'"},
		{"a path", "scsi0", "local-lvm:0,import-from=/root/x.qcow2", "500 Only root can pass arbitrary filesystem paths."},
		{"two drives that configure", "scsi30", "local-lvm:cloudinit", "unable to create VM 100 - disk image 'vm-100-cloudinit' already exists"},
		{"a gateway without address", "ipconfig0", "gw=192.0.2.1", "400 Parameter verification failed.invalid format - format error\nipconfig0.ip: missing property required by 'gw'\n"},
		{"an address without length", "ipconfig0", "ip=192.0.2.1", "400 Parameter verification failed.invalid format - format error\nipconfig0.ip: invalid format - value does not look like a valid ipv4 network configuration\n\n"},
		{"keys that are none", "sshkeys", "ssh-ed25519%20AAAA", "500 SSH public key validation error"},
		{"keys that are not encoded", "sshkeys", "ssh-ed25519 AAAA", "400 Parameter verification failed.invalid format - value does not look like a valid URL-encoded string\n"},
		{"a name server that is none", "nameserver", "192.0.2.1 a_b", "400 Parameter verification failed.invalid format - value does not look like a valid address: a_b\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, takesDisks)
			params := append(sound("100"), "scsi29", "local-lvm:cloudinit", c.option, c.value)
			r := l.call("POST", "/nodes/pve/qemu", params...)
			got := r.Status + r.Errors[c.option]
			if _, began := r.Data.(string); began {
				got = l.await(r)
			}
			if got != c.want && !(strings.HasSuffix(c.want, "'") && strings.HasPrefix(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestEitherOfTwoPrivilegesConfiguresAGuest(t *testing.T) {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.ReplaceAll(url.QueryEscape(string(ssh.MarshalAuthorizedKey(key))), "+", "%20")
	for _, c := range []struct{ name, privilege, want string }{
		{"that of networks", "VM.Config.Network", "200 OK"},
		{"its own", "VM.Config.Cloudinit", "200 OK"},
		{"another", "VM.Config.Memory", "403 Permission check failed (/vms/100, VM.Config.Cloudinit|VM.Config.Network)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, func(cfg *Config) {
				cfg.Tokens = append(cfg.Tokens, Token{ID: "slipway@pve!some", Secret: secret, ACL: []ACL{{Path: "/", Propagate: true, Privileges: []string{c.privilege}}}})
			})
			l.machine()
			got := l.as("some").call("PUT", "/nodes/pve/qemu/100/config", "ciuser", "admin", "sshkeys", lines, "ipconfig0", "ip=192.0.2.9/24,gw=192.0.2.1", "ciupgrade", "0")
			if got.Status != c.want {
				t.Errorf("got %s, want %s", got.Status, c.want)
			}
		})
	}
}
