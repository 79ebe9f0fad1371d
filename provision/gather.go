package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/installer/assisted"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

const (
	gatherAtOnce = 8
	gatherTime   = 30 * time.Second // for each thing
	gatherTail   = 1 << 20          // bytes of a log, its last ones
	journalLines = 1500             // of each node: sshx takes 256 KiB
)

// A Gathered says what is in a bundle and what is not.
type Gathered struct {
	Cluster string    `json:"cluster"`
	Time    time.Time `json:"time"`
	Slipway string    `json:"slipway"` // the version that gathered
	Things  []Thing   `json:"things"`  // by name
	// Unread are secrets that could not be read, and so were not looked for.
	Unread []string `json:"unread"`
}

// A Thing is one file of a bundle, or why it is not there.
type Thing struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
	Error string `json:"error,omitempty"`
	text  []byte
}

// A source is where a thing comes from.
type source struct {
	name string
	read func(context.Context) ([]byte, error)
}

// Gather writes a bundle (tar, gzip) of what a person who helps would ask
// for: state, services, plan, what the installer noted, the journals of the
// nodes, what the cluster says of itself. Each has its own deadline, and what
// cannot be had is listed in the bundle's index; the error is that of writing.
// The cluster's secrets are taken out of everything.
func (p *Project) Gather(ctx context.Context, version string, w io.Writer) (Gathered, error) {
	g := Gathered{Cluster: p.cluster.FullName(), Time: time.Now().UTC().Truncate(time.Second), Slipway: version}
	r, unread := p.secrets()
	g.Unread = unread
	g.Things = collect(ctx, p.sources())
	for i, t := range g.Things {
		g.Things[i].text, g.Things[i].Error = r.redact(t.text), string(r.redact([]byte(t.Error)))
		g.Things[i].Bytes = len(g.Things[i].text)
	}
	return g, g.write(w)
}

// collect reads all sources, some side by side, and returns them by name.
func collect(ctx context.Context, sources []source) []Thing {
	things := make([]Thing, len(sources))
	slots := make(chan struct{}, gatherAtOnce)
	var group sync.WaitGroup
	for i, s := range sources {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			things[i] = s.collect(ctx)
		})
	}
	group.Wait()
	slices.SortFunc(things, func(a, b Thing) int { return strings.Compare(a.Name, b.Name) })
	return things
}

func (s source) collect(ctx context.Context) Thing {
	ctx, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	text, err := s.read(ctx)
	t := Thing{Name: s.name, text: text}
	if err != nil {
		t.Error = err.Error()
	}
	return t
}

func (p *Project) sources() []source {
	list := []source{
		{"state.json", asJSON(func(ctx context.Context) (any, error) { return p.store.Read(ctx, p.cluster.FullName()) })},
		{"status.json", asJSON(func(ctx context.Context) (any, error) { return p.Status(ctx) })},
		{"plan.json", asJSON(func(ctx context.Context) (any, error) { return p.Plan(ctx) })},
		{"services/document.json", tailOf(p.document())},
		{"services/serve.log", tailOf(p.serveLog())},
		{"services/haproxy.cfg", tailOf(filepath.Join(p.runDir(), "haproxy.cfg"))},
		{"services/status.json", asJSON(func(ctx context.Context) (any, error) { return services.Ask(ctx, p.runDir()) })},
		{"services/dns.metrics", func(ctx context.Context) ([]byte, error) { return services.Metrics(ctx, p.runDir()) }},
		{"installer/events.json", p.installerEvents},
	}
	for name, ask := range map[string]func(context.Context, *kube.Client) (any, error){
		"nodes":     func(ctx context.Context, c *kube.Client) (any, error) { return c.Nodes(ctx) },
		"operators": func(ctx context.Context, c *kube.Client) (any, error) { return c.Operators(ctx) },
		"version":   func(ctx context.Context, c *kube.Client) (any, error) { return c.Version(ctx) },
		"requests":  func(ctx context.Context, c *kube.Client) (any, error) { return c.Pending(ctx) },
		"events":    func(ctx context.Context, c *kube.Client) (any, error) { return c.Events(ctx) },
	} {
		list = append(list, source{"cluster/" + name + ".json", asJSON(p.asking(ask))})
	}
	for _, n := range p.cluster.Nodes {
		list = append(list,
			source{"nodes/" + n.Name + "/facts.json", asJSON(func(ctx context.Context) (any, error) { return p.factsOf(ctx, n) })},
			source{"nodes/" + n.Name + "/journal.txt", func(ctx context.Context) ([]byte, error) { return p.journalOf(ctx, n) }})
	}
	return list
}

func asJSON(ask func(context.Context) (any, error)) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		v, err := ask(ctx)
		if err != nil {
			return nil, err
		}
		text, err := json.MarshalIndent(v, "", "  ")
		return append(text, '\n'), err
	}
}

// tailOf reads the last part of a file.
func tailOf(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-gatherTail), gatherTail))
	}
}

func (p *Project) asking(ask func(context.Context, *kube.Client) (any, error)) func(context.Context) (any, error) {
	return func(ctx context.Context) (answer any, err error) {
		err = p.withAPI(func(client *kube.Client) (err error) {
			answer, err = ask(ctx, client)
			return err
		})
		return answer, err
	}
}

var errUnregistered = errors.New("nothing is registered with the installer")

func (p *Project) registration(ctx context.Context) (installer.Ref, error) {
	doc, err := p.store.Read(ctx, p.cluster.FullName())
	if err == nil && doc.Ref == nil {
		err = errUnregistered
	}
	if err != nil {
		return installer.Ref{}, err
	}
	return *doc.Ref, nil
}

// An eventLister is an installer that keeps a diary.
type eventLister interface {
	Events(ctx context.Context, ref installer.Ref) ([]byte, error)
}

func (p *Project) installerEvents(ctx context.Context) ([]byte, error) {
	diary, ok := p.installer.(eventLister)
	if !ok {
		return nil, fmt.Errorf("installer %s notes no events", p.cluster.Installer.Type)
	}
	ref, err := p.registration(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := diary.Events(ctx, ref)
	var pretty bytes.Buffer
	if json.Indent(&pretty, raw, "", "  ") == nil {
		raw = pretty.Bytes()
	}
	return raw, err
}

func (p *Project) factsOf(ctx context.Context, n spec.Node) (any, error) {
	client, err := p.loginAny(ctx, n)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return probe.Host(ctx, client)
}

// journalOf reads the last lines of a node's journal: user core may.
func (p *Project) journalOf(ctx context.Context, n spec.Node) ([]byte, error) {
	client, err := p.loginAny(ctx, n)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	text, err := client.Run(ctx, fmt.Sprintf("journalctl --no-pager -n %d", journalLines))
	return []byte(text), err
}

// secrets makes known every secret of the cluster. unread are those that could
// not be read: they cannot be in what slipway wrote, but somebody else may
// have written them.
func (p *Project) secrets() (r *redactor, unread []string) {
	r = newRedactor()
	values := append(secretsOf(p.cluster.Provider.Context.Variables), secretsOf(p.cluster.Installer.Context.Variables)...)
	values = append(values, p.cluster.PullSecret, p.cluster.Services.DNS.Key.Secret)
	for _, v := range values {
		text, err := v.Reveal()
		if err != nil && !slices.Contains(unread, v.Origin()) {
			unread = append(unread, v.Origin())
		}
		r.add(text)
	}
	for _, name := range []string{proxmox.TokenVariable, assisted.TokenVariable, "SLIPWAY_TSIG_SECRET"} {
		if value, ok := p.LookupEnv(name); ok {
			r.add(value)
		}
	}
	for _, path := range []string{p.Kubeconfig(), p.Password(), p.SSHKey()} {
		if text, err := os.ReadFile(path); err == nil {
			r.add(string(text))
		}
	}
	return r, unread
}

// secretsOf are the secrets among the values that a block may refer to.
func secretsOf(values map[string]cty.Value) (found []secret.Value) {
	for _, value := range values {
		_ = cty.Walk(value, func(_ cty.Path, v cty.Value) (bool, error) {
			if v.Type().Equals(secret.Type) {
				if s, ok := secret.FromCty(v); ok && s.Set() {
					found = append(found, s)
				}
			}
			return true, nil
		})
	}
	return found
}
