package pve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// poolRights are the rights of a token that is confined to one pool.
var poolRights = []ACL{
	{Path: "/pool/lab", Privileges: []string{"VM.Allocate", "VM.Audit", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Disk", "VM.Config.HWType",
		"VM.Config.Memory", "VM.Config.Network", "VM.Config.Options", "VM.PowerMgmt", "VM.GuestAgent.Audit", "Pool.Audit"}, Propagate: true},
	{Path: "/storage/local-lvm", Privileges: []string{"Datastore.AllocateSpace", "Datastore.Audit"}, Propagate: true},
	{Path: "/storage/local", Privileges: []string{"Datastore.AllocateTemplate", "Datastore.Audit"}, Propagate: true},
	{Path: "/sdn/zones/localnetwork/vmbr0", Privileges: []string{"SDN.Use"}, Propagate: true},
	{Path: "/nodes/pve", Privileges: []string{"Sys.AccessNetwork"}, Propagate: true},
}

var adminRights = []ACL{{Path: "/", Propagate: true, Privileges: slices.Concat([]string{"VM.Allocate", "VM.Audit", "VM.PowerMgmt", "VM.GuestAgent.Audit", "Pool.Audit",
	"Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit",
	"SDN.Use", "Sys.Audit", "Sys.Modify"}, configPrivileges)}}

// A lab is a running server with its client.
type lab struct {
	t      *testing.T
	srv    *Server
	addr   string
	client *http.Client
	auth   string
	power  *powerLog
}

const secret = "11111111-2222-3333-4444-555555555555"

// newLab starts a server that is 1000 times as fast as the real one unless
// change says otherwise. Its client uses the pool's token.
func newLab(t *testing.T, change func(*Config)) *lab {
	t.Helper()
	power := &powerLog{}
	cfg := Config{
		Dir: t.TempDir(), Speed: 1000, Hosts: []string{"127.0.0.1"}, Hypervisor: power, Pools: []string{"lab"},
		Storages: []Storage{{Name: "local", Type: "dir", Content: []string{"iso", "vztmpl", "backup"}},
			{Name: "local-lvm", Type: "lvmthin", Content: []string{"images", "rootdir"}}},
		Tokens: []Token{{ID: "slipway@pve!lab", Secret: secret, ACL: poolRights},
			{ID: "slipway@pve!admin", Secret: secret, ACL: adminRights}, {ID: "slipway@pve!none", Secret: secret}},
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); srv.Serve(ctx, l) }()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(srv.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 10}
	t.Cleanup(func() { transport.CloseIdleConnections(); cancel(); <-ended; srv.Close() })
	return &lab{t, srv, l.Addr().String(), &http.Client{Transport: transport}, "PVEAPIToken=slipway@pve!lab=" + secret, power}
}

// as returns the lab with the client of another token.
func (l *lab) as(token string) *lab {
	other := *l
	other.auth = "PVEAPIToken=slipway@pve!" + token + "=" + secret
	return &other
}

// A reply is an answer in the parts that matter.
type reply struct {
	Status  string // with the reason phrase: "200 OK"
	Data    any
	Message string
	Errors  map[string]string
}

func (l *lab) request(method, path, body string) *http.Request {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, "https://"+l.addr+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", l.auth)
	return req
}

func (l *lab) send(req *http.Request) reply {
	l.t.Helper()
	resp, err := l.client.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	r := reply{Status: resp.Status}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &r); err != nil {
			l.t.Fatalf("%s: %v in %q", req.URL.Path, err, text)
		}
	}
	return r
}

// call makes an API request with parameters in pairs, where they belong.
func (l *lab) call(method, path string, pairs ...string) reply {
	l.t.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	if method == "GET" || method == "DELETE" {
		return l.send(l.request(method, base+path+"?"+values.Encode(), ""))
	}
	return l.send(l.request(method, base+path, values.Encode()))
}

// task makes a request that starts a task and returns how the task ended.
func (l *lab) task(method, path string, pairs ...string) string {
	l.t.Helper()
	return l.await(l.call(method, path, pairs...))
}

// await waits for the task that an answer names.
func (l *lab) await(r reply) string {
	l.t.Helper()
	upid, ok := r.Data.(string)
	if !ok {
		l.t.Fatalf("no task: %+v", r)
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		status := l.call("GET", "/nodes/"+strings.Split(upid, ":")[1]+"/tasks/"+upid+"/status")
		data, ok := status.Data.(map[string]any)
		if !ok {
			l.t.Fatalf("status of %s: %+v", upid, status)
		}
		if data["status"] == "stopped" {
			return data["exitstatus"].(string)
		}
	}
	l.t.Fatalf("%s does not end", upid)
	return ""
}

// until polls a condition.
func (l *lab) until(what string, condition func() bool) {
	l.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			l.t.Fatalf("never: %s", what)
		}
	}
}

// machine creates VM 100 in the pool with a disk, an empty tray and a network
// device, and more.
func (l *lab) machine(pairs ...string) {
	l.t.Helper()
	if exit := l.task("POST", "/nodes/pve/qemu", append(sound("100"), pairs...)...); exit != "OK" {
		l.t.Fatalf("create: %s", exit)
	}
}

func sound(vmid string) []string {
	return []string{"vmid", vmid, "name", "control-0.mycluster.lab.test", "pool", "lab", "memory", "16384", "cores", "8",
		"scsi0", "local-lvm:120,iothread=1,discard=on", "ide2", "none,media=cdrom", "net0", "virtio=52:54:00:00:00:01,bridge=vmbr0",
		"smbios1", "uuid=3D0C7CFC-5A1C-5F0E-9E5B-0F8A3C1B2D4E", "description", "slipway mycluster.lab.test"}
}

// powerLog is a hypervisor that remembers.
type powerLog struct {
	mu     sync.Mutex
	events []string
	last   VM
}

func (p *powerLog) note(event string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, event)
}

func (p *powerLog) PowerOn(vm VM) error {
	p.note("on")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = vm
	return nil
}

func (p *powerLog) PowerOff(int)           { p.note("off") }
func (p *powerLog) Media(_ int, cd string) { p.note("media " + cd) }
func (p *powerLog) Destroy(int)            { p.note("destroy") }

func (p *powerLog) log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}
