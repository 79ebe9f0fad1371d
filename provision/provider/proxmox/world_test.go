package proxmox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/internal/tlspin"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/providertest"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
	"github.com/slipway-project/slipway/rehearsal/pve/pveschema"
)

const (
	speed      = pace.Pace(100)
	ourSecret  = "11111111-2222-3333-4444-555555555555"
	rootSecret = "99999999-8888-7777-6666-555555555555"
)

// leastRights is what docs and Check ask for, and nothing else.
var leastRights = []pve.ACL{
	{Path: "/pool/slipway", Propagate: true, Privileges: []string{
		"VM.Allocate", "VM.Audit", "VM.PowerMgmt", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Disk",
		"VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options", "Pool.Audit"}},
	{Path: "/storage/local-lvm", Propagate: true, Privileges: []string{"Datastore.AllocateSpace", "Datastore.Audit"}},
	{Path: "/storage/local", Propagate: true, Privileges: []string{"Datastore.AllocateTemplate", "Datastore.Audit", "Datastore.Allocate"}},
	{Path: "/sdn/zones/localnetwork/vmbr0", Propagate: true, Privileges: []string{"SDN.Use"}},
}

var allRights = []pve.ACL{{Path: "/", Propagate: true, Privileges: []string{
	"VM.Allocate", "VM.Audit", "VM.PowerMgmt", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Disk",
	"VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options", "Pool.Audit",
	"Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit", "Datastore.Allocate", "SDN.Use", "Sys.Audit"}}}

// A datacentre is the simulator behind TLS, and a way around the provider.
type datacentre struct {
	t      *testing.T
	server *pve.Server
	web    *httptest.Server
	pool   string
	requests

	lose atomic.Int32 // 1: act and drop the reply, 2: drop the call

	// intercept, when set, may answer a request in the simulator's stead.
	intercept func(http.ResponseWriter, *http.Request) bool
}

// requests remembers what was asked.
type requests struct {
	mu   sync.Mutex
	seen []request
}

type request struct {
	method, template string
	params           map[string]string
}

func (r *requests) add(method, template string, params map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, request{method, template, params})
}

func (r *requests) count(method, template string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, seen := range r.seen {
		if seen.method == method && seen.template == template {
			n++
		}
	}
	return n
}

func newDatacentre(t *testing.T, change func(*pve.Config)) *datacentre {
	t.Helper()
	d := &datacentre{t: t, pool: "slipway"}
	cfg := pve.Config{
		Dir: t.TempDir(), Speed: speed, Nodes: []string{"pve1", "pve2"}, Pools: []string{"slipway"},
		Storages: []pve.Storage{
			{Name: "local", Type: "dir", Content: []string{"iso", "vztmpl"}},
			{Name: "local-lvm", Type: "lvmthin", Content: []string{"images"}},
		},
		Tokens: []pve.Token{
			{ID: "slipway@pve!test", Secret: ourSecret, ACL: leastRights},
			{ID: "root@pam!test", Secret: rootSecret, ACL: allRights},
		},
		OnRequest: d.add,
	}
	if change != nil {
		change(&cfg)
	}
	server, err := pve.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.server = server
	d.web = httptest.NewUnstartedServer(d)
	d.web.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.web.StartTLS()
	t.Cleanup(func() { d.web.Close(); server.Close(); d.conform(t) })
	return d
}

var reference struct {
	sync.Mutex
	schemas map[string]*pveschema.Schema
}

// schemas loads the official schemas once.
func schemas(t *testing.T) map[string]*pveschema.Schema {
	reference.Lock()
	defer reference.Unlock()
	if reference.schemas == nil {
		reference.schemas = pveschema.Reference(t)
	}
	return reference.schemas
}

// conform holds every request of the test to the official schemas, where
// they are at hand.
func (d *datacentre) conform(t *testing.T) {
	if !testbed.Referenced() {
		return
	}
	for release, schema := range schemas(t) {
		for _, r := range d.seen {
			for _, wrong := range schema.Check(r.method, r.template, r.params) {
				t.Errorf("Proxmox VE %s: %s %s: %s", release, r.method, r.template, wrong)
			}
		}
	}
}

// ServeHTTP passes requests on, and loses a reply when asked to.
func (d *datacentre) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.intercept != nil && d.intercept(w, r) {
		return
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/qemu") {
		d.server.ServeHTTP(w, r)
		return
	}
	switch d.lose.Swap(0) {
	case 0:
		d.server.ServeHTTP(w, r)
	case 1:
		d.swallow(r)
	default:
		panic(http.ErrAbortHandler)
	}
}

// swallow carries a request out and drops the connection.
func (d *datacentre) swallow(r *http.Request) {
	d.server.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// spec is the body of a provider block for the datacentre.
func (d *datacentre) spec() string {
	pin := tlspin.Fingerprint(d.web.Certificate())
	return fmt.Sprintf("endpoint = %q\nfingerprint = %q\npool = %q\n", d.web.URL, pin, d.pool)
}

func (d *datacentre) config() proxmox.Config { return d.decode(d.spec()) }

func (d *datacentre) decode(body string) proxmox.Config {
	d.t.Helper()
	cfg, err := decode(body)
	if err != nil {
		d.t.Fatal(err)
	}
	return cfg
}

func decode(body string) (proxmox.Config, error) {
	file, diags := hclsyntax.ParseConfig([]byte(body), "test.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		return proxmox.Config{}, diags
	}
	cfg, diags := proxmox.Decode(file.Body, nil)
	if diags.HasErrors() {
		return cfg, diags
	}
	return cfg, nil
}

func (d *datacentre) open() *proxmox.Provider { return d.openWith(d.config()) }

func (d *datacentre) openWith(cfg proxmox.Config) *proxmox.Provider {
	d.t.Helper()
	p, err := proxmox.Open(cfg, proxmox.Options{Pace: speed, Lookup: environment("slipway@pve!test=" + ourSecret)})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(p.Close)
	return p
}

func environment(token string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		return token, name == proxmox.TokenVariable
	}
}

// ask makes a call with all rights, past the provider and past the requests
// that are remembered.
func (d *datacentre) ask(method, path string, params url.Values, data any) {
	d.t.Helper()
	req := httptest.NewRequest(method, "/api2/json"+path, strings.NewReader(params.Encode()))
	if len(params) == 0 {
		req = httptest.NewRequest(method, "/api2/json"+path, nil)
	}
	req.Header.Set("Authorization", "PVEAPIToken=root@pam!test="+rootSecret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	reply := httptest.NewRecorder()
	d.server.ServeHTTP(reply, req)
	if reply.Code != http.StatusOK {
		d.t.Fatalf("%s %s: %d %s", method, path, reply.Code, reply.Body)
	}
	if err := json.Unmarshal(reply.Body.Bytes(), &struct{ Data any }{data}); err != nil {
		d.t.Fatal(err)
	}
}

// do makes a call and waits for its task.
func (d *datacentre) do(method, path string, params url.Values) {
	d.t.Helper()
	var task string
	d.ask(method, path, params, &task)
	var state struct{ Status, Exitstatus string }
	for state.Status != "stopped" {
		d.ask(http.MethodGet, "/nodes/"+strings.Split(task, ":")[1]+"/tasks/"+task+"/status", nil, &state)
		if err := speed.Wait(d.t.Context(), 0); err != nil {
			d.t.Fatal(err)
		}
	}
	if state.Exitstatus != "OK" {
		d.t.Fatalf("%s %s: %s", method, path, state.Exitstatus)
	}
}

// withoutHost hides the address, which is another one each time.
func (d *datacentre) withoutHost(s string) string {
	return strings.ReplaceAll(s, d.config().Endpoint.Host, "HOST")
}

type listed struct {
	VMID       int
	Name, Node string
}

func (d *datacentre) guests() []listed {
	d.t.Helper()
	var all []listed
	d.ask(http.MethodGet, "/cluster/resources?type=vm", nil, &all)
	slices.SortFunc(all, func(a, b listed) int { return a.VMID - b.VMID })
	return all
}

func (d *datacentre) machines() []string {
	var ids []string
	for _, g := range d.guests() {
		ids = append(ids, strconv.Itoa(g.VMID))
	}
	return ids
}

func (d *datacentre) running(id string) bool {
	d.t.Helper()
	var state struct{ Status string }
	for _, g := range d.guests() {
		if strconv.Itoa(g.VMID) == id {
			d.ask(http.MethodGet, "/nodes/"+g.Node+"/qemu/"+id+"/status/current", nil, &state)
		}
	}
	return state.Status == "running"
}

func (d *datacentre) addForeign(m provider.Machine) {
	d.t.Helper()
	d.do(http.MethodPost, "/nodes/"+m.Place+"/qemu", url.Values{
		"vmid": {m.ID}, "name": {m.Name}, "memory": {"512"}, "description": {"my own machine"},
		"net0": {"virtio=" + foreignMAC.String() + ",bridge=vmbr0"}})
	d.do(http.MethodPost, "/nodes/"+m.Place+"/qemu/"+m.ID+"/status/start", nil)
}

var foreignMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}

func (d *datacentre) loseCreateReply(carriedOut bool) {
	if carriedOut {
		d.lose.Store(1)
		return
	}
	d.lose.Store(2)
}

func (d *datacentre) world() providertest.World {
	return providertest.World{
		Open:            func() provider.Provider { return d.open() },
		Machines:        d.machines,
		Running:         d.running,
		AddForeign:      d.addForeign,
		LoseCreateReply: d.loseCreateReply,
	}
}

// bounded ends long before the test run does.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	return ctx
}
