package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/installer"
	installers "github.com/slipway-project/slipway/provision/installer/all"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	providers "github.com/slipway-project/slipway/provision/provider/all"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
	"github.com/slipway-project/slipway/provision/state/filestore"
)

// Options is what a project needs of its surroundings.
type Options struct {
	Home      string                           // state directory; clusters live below it
	Exe       string                           // the binary that `up` starts as `slipway serve`
	Pace      pace.Pace                        // how much faster than real time the world runs
	Sink      event.Sink                       // where events go; nil: nowhere
	LookupEnv func(name string) (string, bool) // os.LookupEnv
	Crash     func(step string, at phase.Point)
}

// A Project is one cluster of a spec, opened. Its methods contact the world.
type Project struct {
	Options
	cluster   spec.Cluster
	learned   func() map[string]netip.Addr // addresses by DHCP, by node
	store     *filestore.Store
	provider  machines
	installer installer.Installer
	answered  *atomic.Pointer[netip.Addr] // where the API did last
}

// machines is what `up` needs of a provider: all of it is asked for when the
// project is opened, so that a lack is no surprise half way.
type machines interface {
	provider.Provider
	provider.Allocator
	provider.Powerer
	provider.MediaInserter
	provider.ImageStore
}

// Open decodes the provider and installer blocks of c and returns its
// project. Nothing is contacted and no secret is read.
func Open(c spec.Cluster, o Options) (*Project, hcl.Diagnostics) {
	if o.Sink == nil {
		o.Sink = event.Discard
	}
	o.Sink = event.Clock(o.Sink)
	p := &Project{Options: o, cluster: c, store: filestore.New(o.Home), answered: new(atomic.Pointer[netip.Addr])}
	p.learned = p.recorded
	made, diags := providers.Open(c.Provider.Type, c.Provider.Body, c.Provider.Context, o.LookupEnv, o.Pace)
	engine, more := installers.Open(c.Installer.Type, c.Installer.Body, c.Installer.Context, o.LookupEnv, o.Pace)
	diags = append(diags, more...)
	if diags.HasErrors() {
		return nil, diags
	}
	able, ok := made.(machines)
	if !ok {
		return nil, append(diags, lacking(c))
	}
	if _, able := made.(provider.CloudImager); c.Services.Machine != nil && !able {
		return nil, append(diags, lackingClouds(c))
	}
	p.provider, p.installer = able, engine
	return p, diags
}

func lacking(c spec.Cluster) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Provider cannot boot from images",
		Detail:   fmt.Sprintf("Provider %q of type %q makes no machines that boot from an attached image, which installer %q needs.", c.Provider.Label, c.Provider.Type, c.Installer.Type),
		Subject:  &c.Provider.Range,
	}
}

func lackingClouds(c spec.Cluster) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Provider makes no services machine",
		Detail:   fmt.Sprintf("Provider %q of type %q makes no machines of cloud images; those of type \"proxmox\" do. Write another mode for the services, such as mode = \"ssh\" with a host of yours.", c.Provider.Label, c.Provider.Type),
		Subject:  &c.Services.Machine.Range,
	}
}

// Cluster is the spec's cluster.
func (p *Project) Cluster() spec.Cluster { return p.cluster }

// paths of the files that lie beside a cluster's journal.
func (p *Project) dir() string             { return p.store.Dir(p.cluster.FullName()) }
func (p *Project) file(name string) string { return filepath.Join(p.dir(), name) }
func (p *Project) document() string        { return p.file("services.json") }
func (p *Project) serveLog() string        { return p.file("serve.log") }

// runDir is where serve keeps its sockets. Their paths may not be longer than
// 100 bytes or so, which full names can be: it is named after a hash.
func (p *Project) runDir() string {
	sum := sha256.Sum256([]byte(p.cluster.FullName()))
	return filepath.Join(p.Home, "run", hex.EncodeToString(sum[:4]))
}

// Kubeconfig, Password and SSHKey are where credentials are kept (0600).
func (p *Project) Kubeconfig() string { return p.file("credentials/kubeconfig") }
func (p *Project) Password() string   { return p.file("credentials/kubeadmin-password") }
func (p *Project) SSHKey() string     { return p.file("credentials/id_ed25519") }

// holder says who is about to take the cluster.
func holder(verb string) state.Holder {
	host, _ := os.Hostname()
	return state.Holder{Verb: verb, PID: os.Getpid(), Host: host, Since: time.Now().UTC()}
}

func (p *Project) emit(e event.Event) {
	if e.Cluster == "" {
		e.Cluster = p.cluster.FullName()
	}
	p.Sink.Emit(e)
}
