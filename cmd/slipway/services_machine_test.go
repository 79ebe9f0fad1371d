//go:build rehearse && servers

package main

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/services/remote/remotetest"
	"github.com/slipway-project/slipway/rehearsal"
	"github.com/slipway-project/slipway/rehearsal/node"
)

const servicesMachine = "services.mycluster.lab.test"

// archiveInside serves a cloud image and its checksums in the world, over
// https, and counts the times that the image was asked for.
func (w *testWorld) archiveInside(t *testing.T) (image string, fetched func() int, stop func()) {
	t.Helper()
	content := make([]byte, 200_000)
	copy(content, "QFI\xfb\x00\x00\x00\x03")
	content[28] = 0xc0 // of 3 GiB, like Debian's
	sum := sha512.Sum512(content)
	var mu sync.Mutex
	times := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/SHA512SUMS") {
			fmt.Fprintf(rw, "%s  disk.qcow2\n", hex.EncodeToString(sum[:]))
			return
		}
		mu.Lock()
		times += map[string]int{http.MethodGet: 1}[r.Method]
		mu.Unlock()
		http.ServeContent(rw, r, "disk.qcow2", time.Time{}, bytes.NewReader(content))
	}))
	server.Listener.Close()
	server.Listener = w.listen(t, "127.0.0.1:0")
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	w.ready.Env["SSL_CERT_FILE"] = authority
	return server.URL + "/images/disk.qcow2", func() int { mu.Lock(); defer mu.Unlock(); return times }, server.Close
}

// listen opens a port of the world.
func (w *testWorld) listen(t *testing.T, at string) net.Listener {
	t.Helper()
	type opened struct {
		net.Listener
		err error
	}
	got := make(chan opened)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", w.ready.PID))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			got <- opened{nil, err}
			return
		}
		l, err := net.Listen("tcp", at)
		got <- opened{l, err}
	}()
	l := <-got
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.Listener
}

// api asks the simulated Proxmox VE.
func (w *testWorld) api(t *testing.T, method, path string, into any) {
	t.Helper()
	out := w.run(t, "curl", "-sk", "-m", "20", "-X", method, "-H", "Authorization: PVEAPIToken="+w.ready.Env["SLIPWAY_PROXMOX_TOKEN"],
		"https://"+w.ready.Endpoints["https://pve.lan:8006"].Address.String()+"/api2/json"+path)
	answer := struct{ Data any }{into}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, out)
	}
}

// servicesMachineIs waits until the services machine does that.
func (w *testWorld) servicesMachineIs(t *testing.T, phase node.Phase) rehearsal.Host {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(50 * time.Millisecond) {
		for _, h := range w.hosts(t) {
			if h.Name == servicesMachine && h.State.Phase == phase {
				return h
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is never %s: %+v", servicesMachine, phase, w.hosts(t))
		}
	}
}

// cloudInit does with the host what the machine's configuration says.
func (w *testWorld) cloudInit(t *testing.T, vmid int, host *remotetest.Debian) {
	t.Helper()
	var config struct{ Ciuser, Sshkeys, Ipconfig0, Nameserver, Scsi0 string }
	w.api(t, http.MethodGet, fmt.Sprintf("/nodes/pve/qemu/%d/config", vmid), &config)
	if config.Ipconfig0 != "ip=192.0.2.210/24,gw=192.0.2.1" || config.Nameserver != "192.0.2.1" || !strings.HasSuffix(config.Scsi0, "size=20G,ssd=1") {
		t.Errorf("the machine is told %+v", config)
	}
	keys, err := url.PathUnescape(config.Sshkeys)
	if err != nil || strings.Count(keys, "\n") != 1 {
		t.Errorf("its keys, the cluster's and one of the spec: %q, %v", keys, err)
	}
	user := config.Ciuser
	out, err := exec.Command("chroot", host.Root, "useradd", "-p", "*", "-m", "-s", "/bin/sh", user).CombinedOutput()
	if err != nil {
		t.Fatalf("useradd: %v: %s", err, out)
	}
	host.Write("etc/sudoers.d/90-cloud-init-users", user+" ALL=(ALL) NOPASSWD:ALL\n", 0o440)
	host.Write("home/"+user+"/.ssh/authorized_keys", keys+"\n", 0o600)
	if out, err := exec.Command("chroot", host.Root, "chown", "-R", user+":", "/home/"+user+"/.ssh").CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
}

// moveTo gives the host of the world another address than the services'.
func (w *testWorld) moveTo(t *testing.T, at string) {
	t.Helper()
	w.ip(t, "addr", "flush", "dev", "eth0")
	w.ip(t, "addr", "add", at, "dev", "eth0")
	w.ip(t, "route", "replace", "default", "via", "192.0.2.1")
}

// play has the host be the machine that has booted: behind its NIC, at its
// address.
func (w *testWorld) play(t *testing.T, at string, host *remotetest.Debian) {
	t.Helper()
	inside := w.behind(t, w.servicesMachineIs(t, node.PhaseBooted).MACs[0])
	for _, args := range []string{"addr replace " + at + "/24 dev eth0", "link set eth0 up", "route replace default via 192.0.2.1"} {
		if out, err := exec.Command("nsenter", append([]string{inside, "ip"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	host.Listen(netip.MustParseAddrPort(at+":22"), "nsenter", inside, "--")
}

// behind is the option of nsenter for the namespace that has a MAC, among those
// that the world holds.
func (w *testWorld) behind(t *testing.T, mac string) string {
	t.Helper()
	held, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", w.ready.PID))
	for _, path := range held {
		if to, err := os.Readlink(path); err != nil || !strings.HasPrefix(to, "net:[") {
			continue
		}
		if out, _ := exec.Command("nsenter", "--net="+path, "ip", "-o", "link", "show", "eth0").Output(); strings.Contains(string(out), mac) {
			return "--net=" + path
		}
	}
	t.Fatalf("the world has no machine with MAC %s", mac)
	return ""
}

// A services machine is made of a cloud image, whatever becomes of up, serves
// what a host does, is switched on again, and goes with everything.
func TestRehearseServicesHostThatIsMade(t *testing.T) {
	const at = "192.0.2.210"
	w, _ := servicesWorld(t)
	w.moveTo(t, "192.0.2.2/24")
	host := remotetest.Boot(t)
	image, fetched, stopArchive := w.archiveInside(t)
	spec := variant(t, inServices, "address = \""+at+"\"\n    mode = \"vm\"\n    vm {\n      image {\n        url = \""+image+"\"\n      }\n    }",
		"  machines \"control\"", "  ssh {\n    authorized_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJpmXqnBVfCTZZfMXoLi8T6XyzVJvYcsLqHlrYVdNyYR me@lab\"]\n  }\n\n  machines \"control\"")
	for _, at := range []string{"cloud image:before-intent", "cloud image:after-intent", "cloud image:after-handle", "cloud image:before-done",
		"machine services:before-intent", "machine services:after-intent", "machine services:before-handle", "machine services:after-handle", "machine services:before-done",
		"boot services:before-intent", "boot services:after-intent", "boot services:before-handle"} {
		w.killedAt(t, at, "up", spec)
	}
	vm := w.servicesMachineIs(t, node.PhaseBooted)
	w.noneOf(t, "import")
	w.cloudInit(t, vm.VMID, host)

	up := w.begin(t, "waiting for "+servicesMachine+" to let us in", "up", "--yes", "-f", spec, "--progress", "plain")
	w.play(t, at, host)
	up.end(t)
	if !strings.Contains(up.told(), " of "+servicesMachine+" is trusted on first use") {
		t.Errorf("whom it trusts it does not say:\n%s", up.told())
	}
	w.noneTwice(t, 6)
	first := w.servedBy(t, host)
	for name, want := range map[string]string{"api": at, "api-int": at, "x.apps": at, "worker-0": "192.0.2.204"} {
		w.answers(t, at, name+".mycluster.lab.test", want)
	}
	if n := fetched(); n != 1 {
		t.Errorf("the image was fetched %d times", n)
	}
	s := w.status(t, spec)
	if m := s.ServicesMachine; s.Services != "serving" || s.State != "ready" || m == nil || m.Machine != "on" || m.ID != fmt.Sprint(vm.VMID) {
		t.Errorf("status %+v", s)
	}
	if found := w.must(t, "doctor", "-f", spec); found != "mycluster.lab.test: nothing is in the way\n" {
		t.Errorf("doctor: %s", found)
	}
	w.must(t, "plan", "-f", spec, "--detailed-exitcode") // there is nothing to do
	w.must(t, "up", "--yes", "-f", spec)
	if now := w.servedBy(t, host); now != first {
		t.Errorf("served by pid %d, and by %d before up had nothing to do", now.PID, first.PID)
	}
	if who := w.must(t, "ssh", "-f", spec, "services", "--", "id", "-un"); who != "slipway\n" {
		t.Errorf("slipway ssh services is %q", who)
	}

	stop := func() {
		w.api(t, http.MethodPost, fmt.Sprintf("/nodes/pve/qemu/%d/status/stop", vm.VMID), new(string))
		w.servicesMachineIs(t, node.PhaseOff)
	}
	stop()
	host.Kill()
	rekey(t, host, func() {
		up := w.begin(t, "waiting for "+servicesMachine+" to let us in", "up", "--yes", "-f", spec, "--progress", "plain")
		w.play(t, at, host)
		_ = up.cmd.Wait()
		if told := up.told(); up.cmd.ProcessState.ExitCode() != provision.ExitInfrastructure || !strings.Contains(told, "host key changed") || !strings.Contains(told, "hint: another machine has its address") {
			t.Errorf("with another host key it ends by %v: %s", up.cmd.ProcessState, told)
		}
	})
	stop()
	up = w.begin(t, servicesMachine+" was off, and with it the services: it is switched on again", "up", "--yes", "-f", spec, "--progress", "plain")
	w.play(t, at, host)
	up.end(t)
	if w.servedBy(t, host) == first {
		t.Error("the services survived a power cut")
	}

	w.must(t, "down", "--yes", "-f", spec)
	w.noneOf(t, "images")
	w.noneOf(t, "import")
	host.Kill()
	stopArchive()
	w.noResidue(t)
}

// rekey lets the host have other keys for as long as do takes.
func rekey(t *testing.T, host *remotetest.Debian, do func()) {
	t.Helper()
	for _, command := range []string{"cp -a /etc/ssh /etc/ssh.kept && rm /etc/ssh/ssh_host_* && ssh-keygen -A", "rm -r /etc/ssh && mv /etc/ssh.kept /etc/ssh"} {
		if out, err := exec.Command("chroot", host.Root, "/bin/sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		if do != nil {
			do()
			host.Kill()
		}
		do = nil
	}
}

// noneOf wants no volume of that content to be left in any storage.
func (w *testWorld) noneOf(t *testing.T, content string) {
	t.Helper()
	for _, storage := range []string{"local", "local-lvm"} {
		var left []struct{ Volid string }
		w.api(t, http.MethodGet, "/nodes/pve/storage/"+storage+"/content?content="+content, &left)
		if len(left) > 0 {
			t.Errorf("left in %s: %v", storage, left)
		}
	}
}
