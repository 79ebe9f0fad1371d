package node

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kdomanski/iso9660"
)

var sampleDiscovery = Discovery{
	ServiceURL: "http://192.0.2.9:8090", InfraEnvID: "6c1a9a2e-63a5-4a4a-9a53-90d1b5e3a001", AgentToken: "a=b",
	SSHKeys: []string{"ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"},
	Networks: []StaticNetwork{
		{NMState: "interfaces:\n- name: eth0\n", MACs: map[string]string{"52:54:00:00:00:01": "eth0", "52:54:00:00:00:02": "eth1"}},
		{NMState: "interfaces:\n- name: eth0\n", MACs: map[string]string{"52:54:00:00:00:03": "eth0"}},
	},
}

func TestISORoundTrip(t *testing.T) {
	for _, size := range []int64{0, 1 << 20, 1<<20 + 7} {
		var image bytes.Buffer
		if err := WriteISO(&image, sampleDiscovery, size); err != nil {
			t.Fatal(err)
		}
		if int64(image.Len()) < size {
			t.Errorf("size %d: image has %d bytes", size, image.Len())
		}
		got, err := ReadISO(bytes.NewReader(image.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sampleDiscovery, got); diff != "" {
			t.Errorf("size %d: discovery (-want +got):\n%s", size, diff)
		}
	}
}

func TestWriteISORefusesWhatCannotBeReadBack(t *testing.T) {
	for name, d := range map[string]Discovery{
		"service URL":    {ServiceURL: "http://x\nINFRA_ENV_ID=y"},
		"interface name": {Networks: []StaticNetwork{{MACs: map[string]string{"52:54:00:00:00:01": "a\nb"}}}},
		"MAC":            {Networks: []StaticNetwork{{MACs: map[string]string{"52:54": "a"}}}},
	} {
		if err := WriteISO(&bytes.Buffer{}, d, 0); err == nil {
			t.Errorf("%s: image written", name)
		}
	}
}

func TestReadISOSaysWhatIsWrong(t *testing.T) {
	encoded := func(i ignition) string {
		data, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	three := ignitionVersion{"3.1.0"}
	tests := []struct{ name, path, content, want string }{
		{"another file", "readme.txt", "hello", "no images/config.ign in the image: images does not exist"},
		{"not JSON", IgnitionISO, "hello", "is not an Ignition configuration"},
		{"another version", IgnitionISO, encoded(ignition{Ignition: ignitionVersion{"2.3.0"}}), `not an Ignition 3 configuration: version "2.3.0"`},
		{"foreign", IgnitionISO, encoded(ignition{Ignition: three}), "no discovery image: /etc/assisted/agent.env is missing"},
		{"no service", IgnitionISO, encoded(ignition{Ignition: three, Storage: storage{[]file{newFile(agentEnv, 0, nil)}}}), "names no service or infra env"},
		{"remote source", IgnitionISO, encoded(ignition{Ignition: three, Storage: storage{[]file{{Path: agentEnv, Contents: contents{"https://x"}}}}}), "not a base64 data URL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadISO(bytes.NewReader(imageWith(t, test.path, test.content)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	if _, err := ReadISO(strings.NewReader("hello")); err == nil || !strings.Contains(err.Error(), "not an ISO 9660 image") {
		t.Errorf("text file: %v", err)
	}
}

func imageWith(t testing.TB, path, content string) []byte {
	t.Helper()
	w, err := iso9660.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Cleanup()
	var image bytes.Buffer
	if err := w.AddFile(strings.NewReader(content), path); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteTo(&image, volumeID); err != nil {
		t.Fatal(err)
	}
	return image.Bytes()
}

// systemArea is what an image begins with; it holds nothing.
const systemArea = 16 * 2048

func FuzzReadISO(f *testing.F) {
	var image bytes.Buffer
	if err := WriteISO(&image, Discovery{ServiceURL: "u", InfraEnvID: "i"}, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(image.Bytes()[systemArea:])
	f.Add(imageWith(f, "images/config.ign", "{}")[systemArea:])
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ReadISO(bytes.NewReader(append(make([]byte, systemArea), data...)))
		if err == nil && (d.ServiceURL == "" || d.InfraEnvID == "") {
			t.Errorf("no error for %+v", d)
		}
	})
}
