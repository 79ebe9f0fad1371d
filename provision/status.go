package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// A Status is where a cluster stands, each part as its owner says it.
type Status struct {
	Cluster string       `json:"cluster"`
	State   string       `json:"state"` // absent, making, ready, degraded
	Created time.Time    `json:"created,omitzero"`
	Expires time.Time    `json:"expires,omitzero"` // when `down --expired` may remove it
	Ready   time.Time    `json:"ready,omitzero"`   // when it was last seen whole by `up`
	Nodes   []NodeStatus `json:"nodes"`
	// Installation is what the installer says, until there is a kubeconfig.
	Installation string `json:"installation,omitempty"`
	Services     string `json:"services"` // serving, stopped
	// ServicesMachine is what the services run on, where slipway made it.
	ServicesMachine *NodeStatus `json:"services_machine,omitempty"`
	API             string      `json:"api"` // ready, or why not
	Console         string      `json:"console,omitempty"`
	Kubeconfig      string      `json:"kubeconfig,omitempty"`
	Wrong           []string    `json:"wrong"` // what stands against calling it whole
}

// A NodeStatus is one node from both sides: the machine and the cluster.
type NodeStatus struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Address string `json:"address"`
	Machine string `json:"machine"` // absent, off, on
	ID      string `json:"id,omitempty"`
	Place   string `json:"place,omitempty"`
	Stage   string `json:"stage,omitempty"` // in the installer's words, until there is a kubeconfig
	Ready   bool   `json:"ready"`
}

// Status looks at the world and changes nothing.
func (p *Project) Status(ctx context.Context) (Status, error) {
	doc, err := p.store.Read(ctx, p.cluster.FullName())
	if err != nil {
		return Status{}, err
	}
	ms, err := p.provider.Find(ctx, provider.Mark{Cluster: p.cluster.FullName()})
	if err != nil {
		return Status{}, err
	}
	s := Status{Cluster: p.cluster.FullName(), Created: doc.Created, Expires: p.expires(doc.Created), Ready: doc.Ready, Wrong: []string{}}
	s.Services = p.servicesStatus(ctx, ms)
	if m := p.cluster.Services.Machine; m != nil {
		on := nodeStatus(m.Node, ms, nil)
		s.ServicesMachine = &on
	}
	report := p.apiStatus(ctx, &s)
	for _, n := range p.Nodes() {
		s.Nodes = append(s.Nodes, nodeStatus(n, ms, report.Nodes))
	}
	if s.Kubeconfig == "" && doc.Ref != nil {
		p.installStatus(ctx, &s, *doc.Ref)
	}
	s.State = stateOf(s, len(ms), report)
	return s, nil
}

// installStatus asks the installer how far it is, and what it waits for. That
// it does not answer is an answer.
func (p *Project) installStatus(ctx context.Context, s *Status, ref installer.Ref) {
	ctx, cancel := context.WithTimeout(ctx, askAPI)
	defer cancel()
	seen, err := p.installer.Look(ctx, p.wantCluster(provider.Mark{Cluster: s.Cluster}, nil), ref)
	if err != nil {
		s.Installation = err.Error()
		return
	}
	s.Installation = fmt.Sprintf("%s, %d%%: %s", seen.State, seen.Percent, seen.Info)
	for i, h := range seen.Hosts {
		if h.Seen {
			s.Nodes[i].Stage = stageOf(h)
		}
		if h.Failed {
			s.Wrong = append(s.Wrong, h.Node+": "+h.Info)
		}
	}
	for _, f := range seen.Blocking {
		s.Wrong = append(s.Wrong, f.String())
	}
}

func (p *Project) apiStatus(ctx context.Context, s *Status) kube.Report {
	ctx, cancel := context.WithTimeout(ctx, askAPI)
	defer cancel()
	if _, err := os.Stat(p.Kubeconfig()); errors.Is(err, fs.ErrNotExist) {
		s.API = "no kubeconfig yet"
		return kube.Report{}
	}
	report, err := p.joinReport(ctx)
	if err != nil {
		s.API = err.Error()
		return kube.Report{}
	}
	s.API, s.Console, s.Kubeconfig = "ready", report.Console, p.Kubeconfig()
	s.Wrong = append(s.Wrong, report.Wrong...)
	return report
}

func nodeStatus(n spec.Node, ms []provider.Machine, nodes []kube.Node) NodeStatus {
	s := NodeStatus{Name: n.Name, Role: string(n.Role), Address: addressOf(n), Machine: "absent"}
	for _, m := range ms {
		if m.Node == n.Name {
			s.Machine, s.ID, s.Place = string(m.Power), m.ID, m.Place
		}
	}
	for _, seen := range nodes {
		s.Ready = s.Ready || (seen.Name == n.Full && seen.Ready)
	}
	return s
}

func stateOf(s Status, machines int, report kube.Report) string {
	switch {
	case machines == 0 && s.Created.IsZero():
		return "absent"
	case s.API == "ready" && report.Joined():
		return "ready"
	case !s.Ready.IsZero():
		return "degraded"
	}
	return "making"
}
