package pve

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inject puts a fault into effect that is written as users write it.
func (l *lab) inject(text string) *Injection {
	l.t.Helper()
	f, err := ParseFault(text)
	if err != nil {
		l.t.Fatal(err)
	}
	i, err := l.srv.Inject(f)
	if err != nil {
		l.t.Fatal(err)
	}
	return i
}

// outcome is how a request ends: its status, "refused" when nobody listens,
// else "dropped" when the connection went away without an answer.
func (l *lab) outcome(req *http.Request) string {
	l.t.Helper()
	resp, err := l.client.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return "refused"
		}
		return "dropped"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.TrimSpace(resp.Status + " " + resp.Header.Get("Content-Type") + " " + string(body))
}

func TestFaultsOfRequests(t *testing.T) {
	const create = "method=POST,path=/nodes/{node}/qemu,times=1"
	const started = "dropped"
	cases := []struct {
		fault, want string
		made        bool // the VM came to be
	}{
		{"lost-reply," + create, started, true},
		{"dropped-call," + create, "dropped", false},
		{"status,status=500," + create + ",text=out of luck", `500 out of luck application/json;charset=UTF-8 {"data":null,"message":"out of luck\n"}`, false},
		{"status,status=502," + create, "502 Bad Gateway text/html <html><body><h1>502 Bad Gateway</h1></body></html>", false},
		{"status,status=503," + create, "503 Service Unavailable text/html <html><body><h1>503 Service Unavailable</h1></body></html>", false},
		{"status,status=504," + create, "504 Gateway Timeout text/html <html><body><h1>504 Gateway Timeout</h1></body></html>", false},
		{"status,status=595," + create, "595 No route to host", false},
		{"status,status=596," + create, "596 Connection timed out", false},
		{"status,status=599," + create, "599 Too many redirections", false},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			l := newLab(t, nil)
			i := l.inject(c.fault)
			l.call("GET", "/version") // others are not struck
			got := l.outcome(l.request("POST", base+"/nodes/pve/qemu", "vmid=100&pool=lab"))
			if got != c.want || i.Hits() != 1 {
				t.Errorf("got %q, want %q; it struck %d times", got, c.want, i.Hits())
			}
			if made := len(l.srv.VMs()) == 1; made != c.made {
				t.Errorf("VM was made: %t", made)
			}
			again := l.call("POST", "/nodes/pve/qemu", "vmid", "101", "pool", "lab")
			if again.Status != "200 OK" {
				t.Errorf("once it has struck all is well again, not %s", again.Status)
			}
		})
	}
}

func TestFaultsAreSkippedCountedAndCleared(t *testing.T) {
	l := newLab(t, nil)
	l.inject("status,status=596,path=/version,skip=1,times=2")
	got := func() (statuses []string) {
		for range 5 {
			statuses = append(statuses, strings.Fields(l.call("GET", "/version").Status)[0])
		}
		return statuses
	}
	if diff := cmp.Diff([]string{"200", "596", "596", "200", "200"}, got()); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	i := l.inject("status,status=596")
	if diff := cmp.Diff([]string{"596", "596", "596", "596", "596"}, got()); diff != "" {
		t.Errorf("until cleared (-want +got):\n%s", diff)
	}
	i.Clear()
	i.Clear()
	if diff := cmp.Diff([]string{"200", "200", "200", "200", "200"}, got()); diff != "" {
		t.Errorf("cleared (-want +got):\n%s", diff)
	}
	if i.Hits() != 5 {
		t.Errorf("it struck %d times, want 5", i.Hits())
	}
}

func TestSlowReplies(t *testing.T) {
	l := newLab(t, nil)
	l.inject("slow-reply,path=/version,delay=100s,times=1")
	begin := time.Now()
	l.call("GET", "/version")
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("answered after %v, want 100ms: 100 s at a speed of 1000", took)
	}
}

func TestFaultsOfTasks(t *testing.T) {
	cases := []struct {
		fault, want string
		made        bool
	}{
		{"task-fails,task=qmcreate,id=100,times=1,text=no luck, no VM", "unable to create VM 100 - no luck, no VM", false},
		{"task-warns,task=qmcreate,times=1", "WARNINGS: 1", true},
		{"task-dies,task=qmcreate,times=1", "unexpected status", true},
		{"lock-timeout,id=100,times=1", "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", false},
		{"lock-timeout,storage=local-lvm,times=1", "unable to create VM 100 - can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout", false},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.Durations.LockTimeout = time.Millisecond })
			l.inject(c.fault)
			if got := l.task("POST", "/nodes/pve/qemu", sound("100")...); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if made := len(l.srv.VMs()) == 1; made != c.made {
				t.Errorf("VM is there: %t, want %t", made, c.made)
			}
			if exit := l.task("POST", "/nodes/pve/qemu", sound("101")...); exit != "OK" {
				t.Errorf("the next one: %s", exit)
			}
		})
	}
}

// A task that is killed cannot clean up: the placeholder stays, locked.
func TestWhatAKilledCreateLeaves(t *testing.T) {
	l := newLab(t, nil).as("admin")
	l.inject("task-dies,task=qmcreate,times=1")
	l.task("POST", "/nodes/pve/qemu", sound("100")...)
	if got := l.call("POST", "/nodes/pve/qemu", sound("100")...).Status; got != "500 unable to create VM 100 - VM 100 already exists on node 'pve'" {
		t.Errorf("create again: %s", got)
	}
	if got := l.task("DELETE", "/nodes/pve/qemu/100"); got != "VM is locked (create)" {
		t.Errorf("destroy: %s", got)
	}
}

func TestSlowTasksAndJitter(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Jitter, c.Seed = 0.5, 7 })
	l.inject("task-slow,task=qmcreate,id=100,delay=100s,times=1")
	begin := time.Now()
	l.machine()
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("the task took %v, want 50ms at least: 100 s at a speed of 1000, half of it jitter", took)
	}
	var drawn [2][]time.Duration
	for i := range drawn {
		s, err := New(Config{Dir: t.TempDir(), Jitter: 0.5, Seed: 7})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 100 {
			drawn[i] = append(drawn[i], s.jitter(time.Second))
		}
	}
	if !slices.Equal(drawn[0], drawn[1]) {
		t.Error("the same seed gives other durations")
	}
	if low, high := slices.Min(drawn[0]), slices.Max(drawn[0]); low < time.Second/2 || high > 3*time.Second/2 || high-low < time.Second/2 {
		t.Errorf("durations from %v to %v, want them spread over 0.5 s to 1.5 s", low, high)
	}
}

func TestAnUploadIsCutOff(t *testing.T) {
	l := newLab(t, nil)
	i := l.inject("upload-aborted,bytes=1000,times=1")
	body := field("content", "iso") + filePart("x.iso", strings.Repeat("x", 1<<20)) + end
	if got := l.outcome(l.uploadRequest(body)); got != "dropped" || i.Hits() != 1 {
		t.Errorf("the upload ended with %s after %d hits", got, i.Hits())
	}
	l.until("the spool is empty", func() bool { left, _ := os.ReadDir(l.srv.spool); return len(left) == 0 })
	if len(l.stored()) != 0 || len(l.srv.RunningTasks()) != 0 {
		t.Errorf("left: %v, %v", l.srv.Images(), l.srv.RunningTasks())
	}
	if got := l.await(l.send(l.uploadRequest(body))); got != "OK" {
		t.Errorf("again: %s", got)
	}
}

func TestMessagesInTheReasonPhraseOnly(t *testing.T) {
	l := newLab(t, nil)
	l.inject("message-in-reason,times=1")
	want := reply{Status: "403 Permission check failed (/nodes/pve, Sys.Audit)"}
	if diff := cmp.Diff(want, l.call("GET", "/nodes/pve/status")); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

func TestClocksAreSkewed(t *testing.T) {
	l := newLab(t, nil)
	l.inject("clock-skew,delay=-10m")
	resp, err := l.client.Do(l.request("GET", base+"/version", ""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if off := time.Since(date); err != nil || off < 9*time.Minute || off > 11*time.Minute {
		t.Errorf("Date is %v behind, %v", off, err)
	}
	now := l.as("admin").call("GET", "/nodes/pve/time").Data.(map[string]any)["time"].(float64)
	if off := float64(time.Now().Unix()) - now; off < 540 || off > 660 {
		t.Errorf("the node's clock is %v s behind", off)
	}
}

func TestPveproxyRestarts(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Speed, c.Durations.Create = 1, 50*time.Millisecond })
	create := l.call("POST", "/nodes/pve/qemu", sound("100")...)
	l.inject("proxy-restart,delay=1s")
	l.until("connections are refused", func() bool { return l.outcome(l.request("GET", base+"/version", "")) == "refused" })
	l.until("it is back", func() bool { return strings.HasPrefix(l.outcome(l.request("GET", base+"/version", "")), "200") })
	if exit := l.await(create); exit != "OK" {
		t.Errorf("the task ended with %s, want it to survive", exit)
	}
}

func TestCertificatesRotate(t *testing.T) {
	l := newLab(t, nil)
	before := l.srv.Fingerprint()
	l.call("GET", "/version")
	l.inject("certificate-rotation")
	var got string
	l.until("it answers", func() bool {
		resp, err := l.client.Do(l.request("GET", base+"/version", ""))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		got = fingerprintOf(resp.TLS.PeerCertificates[0])
		return true
	})
	if got == before || got != l.srv.Fingerprint() {
		t.Errorf("fingerprint is %s, was %s", got, before)
	}
}

// A fault of a node may wait for a request, which is carried out.
func TestFaultsOfNodesWaitForRequests(t *testing.T) {
	for _, c := range []struct{ fault, want string }{
		{"proxy-restart,method=POST,path=/nodes/{node}/qemu,skip=1,delay=1s", "dropped"},
		{"certificate-rotation,method=POST,path=/nodes/{node}/qemu,skip=1", "dropped"},
		{"node-offline,method=POST,path=/nodes/{node}/qemu,skip=1,delay=1s", "dropped"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			l := newLab(t, nil)
			i := l.inject(c.fault)
			before := l.srv.Fingerprint()
			l.call("GET", "/version")
			l.call("POST", "/nodes/pve/qemu", "vmid", "100", "pool", "lab")
			if i.Hits() != 0 || l.srv.Fingerprint() != before {
				t.Fatal("it has struck too early")
			}
			got := l.outcome(l.request("POST", base+"/nodes/pve/qemu", "vmid=101&pool=lab"))
			if got != c.want || i.Hits() != 1 {
				t.Errorf("got %q, want %q; it struck %d times", got, c.want, i.Hits())
			}
			l.until("it answers", func() bool { return strings.HasPrefix(l.outcome(l.request("GET", base+"/version", "")), "200") })
			l.call("POST", "/nodes/pve/qemu", "vmid", "102", "pool", "lab")
			if rotated := l.srv.Fingerprint() != before; i.Hits() != 1 || rotated != (i.Fault().Kind == CertificateRotation) {
				t.Errorf("it struck %d times; the certificate is another: %t", i.Hits(), rotated)
			}
		})
	}
}

func TestParseFault(t *testing.T) {
	cases := []struct{ text, want string }{
		{"status,status=596,path=/nodes/{node}/qemu,times=2", ""},
		{"task-fails,task=qmstart,id=100,text=a, b=c", ""},
		{"node-offline,node=pve2,delay=1m0s", ""},
		{"gremlins", `fault "gremlins": no such kind`},
		{"lost-reply,colour=red", `fault "lost-reply,colour=red": no field "colour"`},
		{"lost-reply,times=many", `fault "lost-reply,times=many": times: "many" is no value`},
		{"lost-reply,once", `fault "lost-reply,once": "once" is not of the form key=value`},
		{"status", `fault status: status 0 is no server's error`},
		{"task-slow", `fault task-slow: needs a delay`},
		{"lost-reply,times=-1", `fault lost-reply: negative number`},
	}
	for _, c := range cases {
		f, err := ParseFault(c.text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
		if err == nil && f.String() != c.text {
			again, err := ParseFault(f.String())
			if diff := cmp.Diff(f, again); diff != "" || err != nil {
				t.Errorf("%s prints as %s (-want +got): %v\n%s", c.text, f, err, diff)
			}
		}
	}
	if _, err := newLab(t, nil).srv.Inject(Fault{Kind: NodeOffline, Node: "nowhere"}); err == nil {
		t.Error("a node that does not exist goes offline")
	}
	if _, err := New(Config{Dir: t.TempDir(), Faults: []Fault{{Kind: "gremlins"}}}); err == nil {
		t.Error("a configuration with an unknown fault is accepted")
	}
}

func TestEveryKindOfFaultIsDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "providers", "proxmox-simulated.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range FaultKinds() {
		if !strings.Contains(string(page), "| `"+string(kind)+"` |") {
			t.Errorf("the table of faults lacks %s", kind)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, kind := range FaultKinds() {
		f.Add(string(kind) + ",status=500,delay=1s,times=2,text=x,y")
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := ParseFault(text)
		if err != nil {
			return
		}
		again, err := ParseFault(fault.String())
		if err != nil || again != fault {
			t.Errorf("%q became %+v, printed %q, became %+v: %v", text, fault, fault, again, err)
		}
	})
}
