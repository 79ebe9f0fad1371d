package qemu

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

func decode(t *testing.T, text string) (Config, hcl.Diagnostics) {
	t.Helper()
	file, diags := hclsyntax.ParseConfig([]byte(text), "specs/lab.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return Decode(file.Body, nil)
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Config
	}{
		{"nothing", ``, Config{Network: NetworkPrivate}},
		{"defaults, written out", "firmware = \"bios\"\naccel = \"auto\"\nnetwork = \"private\"", Config{Network: NetworkPrivate}},
		{"all else", "dir = \"/srv/q\"\nfirmware = \"uefi\"\naccel = \"kvm\"\nnetwork = \"bridge\"", Config{Dir: "/srv/q", UEFI: true, Accel: qemu.KVM, Network: NetworkBridge}},
		{"limits", "max_cpus = 1\nmax_memory = 192", Config{Network: NetworkPrivate, Limits: Limits{1, 192}}},
		{"a directory beside the spec", `dir = "q"`, Config{Dir: filepath.Join("specs", "q"), Network: NetworkPrivate}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, diags := decode(t, c.text)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestDecodeProblems(t *testing.T) {
	_, diags := decode(t, "firmware = \"efi\"\naccel = \"hvf\"\nnetwork = \"lan\"\nbridge = \"br0\"\nmax_cpus = -1\nmax_memory = -1")
	var got []string
	for _, d := range diags {
		got = append(got, d.Error())
	}
	want := []string{
		`specs/lab.hcl:4,1-7: Unsupported argument; An argument named "bridge" is not expected here.`,
		`specs/lab.hcl:1,12-17: Invalid firmware; "efi" is neither bios nor uefi.`,
		`specs/lab.hcl:2,9-14: Invalid accelerator; "hvf" is not an accelerator. Write kvm, tcg, which runs anywhere and ten times slower, or auto: kvm where a guest really runs under it.`,
		`specs/lab.hcl:3,11-16: Invalid network; "lan" is not a kind of network. Write private: a network of the cluster's own, made without any rights; or bridge: machines are on the bridge of this host that their network block names.`,
		`specs/lab.hcl:5,12-14: Invalid limit; -1 is no number of vCPUs. Write 1 or more, or leave it out.`,
		`specs/lab.hcl:6,14-16: Invalid limit; -1 is no amount of memory. Write a number of MiB, or leave it out.`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A machine has what the spec says where the limits allow it.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits Limits
		want   Limits
	}{
		{"none", Limits{}, Limits{4, 16384}},
		{"fewer", Limits{1, 192}, Limits{1, 192}},
		{"more", Limits{8, 65536}, Limits{4, 16384}},
	} {
		v := record{Machine: provider.Machine{CPUs: 4, Memory: 16384}}.vm("/srv/q", order{Limits: c.limits})
		if got := (Limits{v.CPUs, v.Memory}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestNetworksThatAreNotOffered(t *testing.T) {
	for network, want := range map[string]string{
		"user": `specs/lab.hcl:1,11-17: Network is not offered; In QEMU's user network no machine reaches another, and nothing here reaches a machine by its address. Write private, or bridge.`,
	} {
		if _, diags := decode(t, `network = "`+network+`"`); diags.Error() != want {
			t.Errorf("%v\nwant %s", diags, want)
		}
	}
}

func TestDirectory(t *testing.T) {
	for _, c := range []struct {
		name string
		dir  string
		env  map[string]string
		want string
		err  string
	}{
		{"of the block", "/srv/q", nil, "/srv/q", ""},
		{"of the user's data", "", map[string]string{"XDG_DATA_HOME": "/data", "HOME": "/home/u"}, "/data/slipway/qemu", ""},
		{"relative data is no data", "", map[string]string{"XDG_DATA_HOME": "data", "HOME": "/home/u"}, "/home/u/.local/share/slipway/qemu", ""},
		{"no home", "", nil, "", "neither HOME nor XDG_DATA_HOME is set, and the block has no dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Open(Config{Dir: c.dir}, Options{Lookup: func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }})
			if err != nil {
				if err.Error() != c.err {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if p.dir != c.want {
				t.Errorf("%s, want %s", p.dir, c.want)
			}
		})
	}
}
