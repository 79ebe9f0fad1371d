package proxmox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/rehearsal/pve/pveschema"
)

const someUPID = "UPID:pve1:000C8FB5:0A5C31D6:66F1A2B3:qmcreate:20001:slipway@pve!ci:"

func TestParseUPID(t *testing.T) {
	got, err := parseUPID(someUPID)
	want := upid{text: someUPID, node: "pve1", kind: "qmcreate", id: "20001", user: "slipway@pve!ci", start: 0x66F1A2B3}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "UPID:", "UPID:../x:000C8FB5:0A5C31D6:66F1A2B3:a::b:", someUPID + "\n", strings.Replace(someUPID, "pve1", "a/b", 1)} {
		if _, err := parseUPID(bad); err == nil {
			t.Errorf("%q is taken for a UPID", bad)
		}
	}
}

func FuzzParseUPID(f *testing.F) {
	f.Add(someUPID)
	f.Add("UPID:pve:00000001:000000001:00000001:imgcopy::root@pam:")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseUPID(s)
		if err == nil && (strings.Count(u.path(), "/") != 4 || strings.ContainsAny(u.path(), "?#% \n")) {
			t.Errorf("%q bends the path: %s", s, u.path())
		}
	})
}

func TestDescription(t *testing.T) {
	want := ownership{provider.Mark{Cluster: "mycluster.lab.test", ID: "0f8fad5b"}, "control-0.mycluster.lab.test", 20001}
	text, err := want.description()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text string }{
		{"as written", text},
		{"as PVE gives it back, with a newline more", text + "\n"},
		{"with a note of somebody before and after", "# Do not touch\r\n\r\n" + strings.ReplaceAll(text, "\n", "\r\n") + "\r\nsince May"},
	} {
		got, ok := parseDescription(c.text)
		if !ok || got != want {
			t.Errorf("%s: got %+v, %v", c.name, got, ok)
		}
	}
	if strings.ContainsAny(strings.SplitN(text, "\n\n", 2)[1], ":%") {
		t.Errorf("the line for slipway has characters that PVE encodes: %q", text)
	}
}

func TestDescriptionRefusesWhatItCannotCarry(t *testing.T) {
	for _, id := range []string{"", "a b", "a\nb", "ä"} {
		o := ownership{provider.Mark{Cluster: "c.test", ID: id}, "n.c.test", 100}
		if text, err := o.description(); err == nil {
			t.Errorf("id %q was written: %q", id, text)
		}
	}
}

func TestParseDescriptionWantsAWholeMark(t *testing.T) {
	for _, s := range []string{
		"", "slipway", markWord, markWord + " cluster=a id=b name=c", markWord + " cluster=a id=b name=c vmid=x",
		markWord + " cluster=a cluster=z id=b name=c vmid=1", "see " + markWord + " cluster=a id=b name=c vmid=1",
	} {
		if o, ok := parseDescription(s); ok {
			t.Errorf("%q is taken for the mark %+v", s, o)
		}
	}
}

func FuzzParseDescription(f *testing.F) {
	f.Add("Node\n\n" + markWord + " cluster=a.test id=b name=c.a.test vmid=100\n")
	f.Add(markWord + " cluster==")
	f.Fuzz(func(t *testing.T, s string) {
		o, ok := parseDescription(s)
		if !ok {
			return
		}
		text, err := o.description()
		if err != nil {
			t.Fatalf("%q parsed to what cannot be written: %+v", s, o)
		}
		if again, ok := parseDescription(text); !ok || again != o {
			t.Errorf("%+v became %+v", o, again)
		}
	})
}

func TestErrorKinds(t *testing.T) {
	for _, c := range []struct {
		status int
		text   string
		want   Error
	}{
		{500, "unable to create VM 100 - VM 100 already exists on node 'pve1'\n", Error{Kind: Exists}},
		{0, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", Error{Kind: LockTimeout}},
		{0, "unable to create VM 100 - can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout", Error{Kind: LockTimeout}},
		{0, "cfs-lock 'storage-nfs' error: got lock request timeout", Error{Kind: LockTimeout}},
		{0, "VM is locked (backup)", Error{Kind: Locked}},
		{0, "VM 100 already running", Error{Kind: AlreadyRunning}},
		{500, "VM 100 not running", Error{Kind: NotRunning}},
		{500, "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist\n", Error{Kind: NotFound}},
		{500, "hostname lookup 'pve9' failed - failed to get address info", Error{Kind: Unavailable}},
		{596, "", Error{Kind: Unavailable}},
		{401, "authentication failure", Error{Kind: Unauthorized}},
		{403, "Permission check failed (/storage/local, Datastore.Allocate)\n",
			Error{Kind: Forbidden, Object: "/storage/local", Privileges: []string{"Datastore.Allocate"}}},
		{0, "403 Permission check failed (/vms/100, VM.Config.Options|VM.Config.Cloudinit)",
			Error{Kind: Forbidden, Object: "/vms/100", Privileges: []string{"VM.Config.Options", "VM.Config.Cloudinit"}}},
		{403, "Permission check failed", Error{Kind: Forbidden}},
		{500, "can't remove VM 100 - protection mode enabled\n", Error{Kind: Protected}},
		{500, "cluster not ready - no quorum?\n", Error{Kind: NoQuorum}},
		{0, "bridge 'vmbr9' does not exist", Error{Kind: Other}},
	} {
		got := newError(c.status, c.text, nil)
		if diff := cmp.Diff(&c.want, got, cmpopts.IgnoreFields(Error{}, "Status", "Text"), cmpopts.IgnoreUnexported(Error{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}

// Whatever a server says becomes an error of one line that has its words.
func FuzzErrorText(f *testing.F) {
	f.Add(500, "unable to create VM 100 - VM 100 already exists on node 'pve1'\n")
	f.Add(403, "Permission check failed (/vms/100, VM.Config.Options|VM.Config.Cloudinit)\n")
	f.Add(0, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout")
	f.Fuzz(func(t *testing.T, status int, said string) {
		e := newError(status, said, nil)
		if strings.ContainsAny(e.Error(), "\n\r") || e.Text != strings.Join(strings.Fields(said), " ") {
			t.Errorf("%q became %q", said, e.Error())
		}
		if e.Kind == "" || e.Object != "" && (!strings.HasPrefix(e.Object, "/") || len(e.Privileges) == 0) {
			t.Errorf("%q has kind %q, object %q, privileges %q", said, e.Kind, e.Object, e.Privileges)
		}
		_ = advised(e, e)
	})
}

// Every body, however odd, becomes a refusal that proxmox-api-go can read.
func FuzzRefusal(f *testing.F) {
	for _, body := range []string{"", "\n", `{"errors":null}`, `{"data":null,"message":7}`, `{"errors":{"a":1},"message":"x"}`, "<html>", `{"errors":[]}`} {
		f.Add(500, "500 VM 100 already exists", []byte(body))
	}
	f.Fuzz(func(t *testing.T, code int, status string, body []byte) {
		resp := answer(&http.Request{}, code, status, body)
		var got map[string]any
		if err := json.Unmarshal(refusal(resp, body), &got); err != nil {
			t.Fatal(err)
		}
		if _, ok := got["message"].(string); !ok {
			t.Errorf("message is %v", got["message"])
		}
		if errs, ok := got["errors"]; ok {
			if _, ok := errs.(map[string]any); !ok {
				t.Errorf("errors is %v", errs)
			}
		}
		io.Copy(io.Discard, resp.Body)
	})
}

func FuzzProperties(f *testing.F) {
	f.Add("virtio=02:00:00:00:00:01,bridge=vmbr0,tag=5", "100G")
	f.Fuzz(func(t *testing.T, line, size string) {
		v := vm{config: map[string]text{diskSlot: text("a:b,size=" + size), "net0": text(line), traySlot: text(line), "memory": text(line), "smbios1": text(line)}}
		if m := v.machine(); m.Disk < 0 {
			t.Errorf("disk of %d GiB", m.Disk)
		}
	})
}

func TestParseToken(t *testing.T) {
	const value = "11111111-2222-3333-4444-555555555555"
	got, err := parseToken(" slipway@pve!ci=" + value + "\n")
	if want := (apiToken{"slipway@pve!ci", "slipway@pve", value}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"", value, "slipway@pve!ci", "slipway@pve=" + value, "slipway!ci=" + value, "PVEAPIToken=slipway@pve!ci=" + value, "slipway@pve!c=" + value, "slipway@pve!ci=secret"} {
		if _, err := parseToken(bad); err == nil {
			t.Errorf("%q is taken for a token", bad)
		} else if strings.Contains(err.Error(), value) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
}

// What hardware adds to a create is what the official schemas know.
func TestHardwareConforms(t *testing.T) {
	for release, schema := range pveschema.Reference(t) {
		params := map[string]string{"node": "pve", "vmid": "100"}
		for name, value := range (Hardware{UEFI: true, TPM: true, CPUType: "host"}).params(Storage{Disk: "local-lvm", Format: "qcow2"}) {
			params[name] = strings.NewReplacer("true", "1", "false", "0").Replace(fmt.Sprint(value))
		}
		if params["tpmstate0"] != "local-lvm:1,version=v2.0" {
			t.Errorf("tpmstate0 is %q", params["tpmstate0"])
		}
		for _, wrong := range schema.Check("POST", "/nodes/{node}/qemu", params) {
			t.Errorf("Proxmox VE %s: %s", release, wrong)
		}
	}
}
