package pve

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPropertyStrings(t *testing.T) {
	cases := []struct {
		name  string
		keys  schema
		value string
		want  map[string]string
		err   string
	}{
		{"a model's name is a key for the MAC", netKeys, "virtio=52:54:00:00:00:01,bridge=vmbr0",
			map[string]string{"model": "virtio", "macaddr": "52:54:00:00:00:01", "bridge": "vmbr0"}, ""},
		{"a value without key is the default key's", netKeys, "bridge=vmbr0,virtio", map[string]string{"model": "virtio", "bridge": "vmbr0"}, ""},
		{"words for booleans", agentKeys, "on,fstrim_cloned_disks=no", map[string]string{"enabled": "1", "fstrim_cloned_disks": "0"}, ""},
		{"two values without key", netKeys, "virtio,e1000", nil, "duplicate key in comma-separated list property: model\n"},
		{"a key twice", netKeys, "virtio,tag=1,tag=2", nil, "duplicate key in comma-separated list property: tag\n"},
		{"two models", netKeys, "virtio=52:54:00:00:00:01,e1000=52:54:00:00:00:02", nil, "key alias 'model' is already defined\n"},
		{"a model and a MAC twice", netKeys, "macaddr=52:54:00:00:00:01,virtio=52:54:00:00:00:02", nil, "key 'macaddr' is already defined (via alias)\n"},
		{"an unknown key", netKeys, "virtio,colour=red", nil, "invalid key in comma-separated list property: colour\n"},
		{"a key without value", netKeys, "virtio,tag=", nil, "missing key in comma-separated list property\n"},
		{"no key and no default", smbiosKeys, "x", nil, "value without key, but schema does not define a default key\n"},
		{"multicast MACs", netKeys, "virtio=53:54:00:00:00:01", nil,
			"format error\nnet0.macaddr: invalid format - value does not look like a valid MAC address (only unicast addresses are allowed)\n\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.keys.parse("net0", c.value)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if text := errorText(err); text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzPropertyString(f *testing.F) {
	f.Add("virtio=52:54:00:00:00:01,bridge=vmbr0,tag=7")
	f.Add("model=virtio,macaddr=52:54:00:00:00:01")
	f.Add(",virtio, ,rate=1.5")
	f.Fuzz(func(t *testing.T, value string) {
		keys, err := netKeys.parse("net0", value)
		if err != nil {
			return
		}
		again, err := netKeys.parse("net0", netKeys.print(keys))
		if diff := cmp.Diff(keys, again); err != nil || diff != "" {
			t.Errorf("%q does not survive printing: %v\n%s", value, err, diff)
		}
	})
}

func FuzzForm(f *testing.F) {
	f.Add("vmid=100&net0=virtio%3D52%3A54&name=a+b")
	f.Add("a;b=1;b=2=3&%zz=%")
	f.Fuzz(func(t *testing.T, form string) {
		args := newArguments()
		args.decodeForm(form)
		for name := range args.nested {
			if _, ok := args.values[name]; !ok {
				t.Errorf("%q is nested, but has no value", name)
			}
		}
	})
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1000: "1000", 3072: "3K", 528 << 10: "528K", 120 << 30: "120G", 1 << 40: "1T"} {
		if got := formatSize(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
		if got := parseSize(want); got != n {
			t.Errorf("%q is %d bytes, want %d", want, got, n)
		}
	}
}
