package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"golang.org/x/crypto/ssh"
)

type rawCluster struct {
	Domain     *hcl.Attribute `hcl:"domain,optional"`
	Release    *hcl.Attribute `hcl:"release,optional"`
	PullSecret *hcl.Attribute `hcl:"pull_secret,optional"`
	Provider   *hcl.Attribute `hcl:"provider,optional"`
	Network    *hcl.Attribute `hcl:"network,optional"`
	TTL        *hcl.Attribute `hcl:"ttl,optional"`
	Protect    *hcl.Attribute `hcl:"protect,optional"`
	SSH        *rawSSH        `hcl:"ssh,block"`
	Installers []rawInstaller `hcl:"installer,block"`
	Services   *rawServices   `hcl:"services,block"`
	Machines   []rawMachines  `hcl:"machines,block"`
	Checks     []rawCheck     `hcl:"check,block"`
}

type rawSSH struct {
	AuthorizedKeys *hcl.Attribute `hcl:"authorized_keys,optional"`
	User           *hcl.Attribute `hcl:"user,optional"`
}

type rawInstaller struct {
	Type      string    `hcl:"type,label"`
	TypeRange hcl.Range `hcl:"type,label_range"`
	Range     hcl.Range `hcl:",def_range"`
	Body      hcl.Body  `hcl:",remain"`
}

// A cluster is a Cluster while it is being put together.
type cluster struct {
	Cluster
	raw      rawCluster
	machines []*machines
	network  *network // nil: not known
}

func (l *loader) providers(blocks hcl.Blocks) []Provider {
	var list []Provider
	for _, b := range blocks {
		if l.known("provider", b.Labels[0], l.opts.ProviderTypes, b.LabelRanges[0]) {
			l.judge(l.opts.ValidateProvider, b.Labels[0], b.Body)
		}
		list = append(list, Provider{b.Labels[0], b.Labels[1], b.Body, l.ctx, b.DefRange})
	}
	return list
}

func (l *loader) known(what, name string, types []string, at hcl.Range) bool {
	if types != nil && !slices.Contains(types, name) {
		l.errorf(at, "Unknown "+what, "There is no %s of type %q. %s", what, name, didYouMean(name, types))
		return false
	}
	return true
}

// judge has a body judged by those who will decode it, so that its problems
// are told together with all others.
func (l *loader) judge(validate Validate, name string, body hcl.Body) {
	if validate != nil {
		l.diags = append(l.diags, validate(name, body, l.ctx)...)
	}
}

func (l *loader) clusters(blocks hcl.Blocks, providers []Provider) []*cluster {
	if len(blocks) == 0 && !l.diags.HasErrors() {
		l.outside("Missing cluster", "The spec has no cluster block. Write cluster \"mycluster\" { ... }, or let `slipway init` write one.")
	}
	var list []*cluster
	for _, b := range blocks {
		c := &cluster{Cluster: Cluster{Name: b.Labels[0], Range: b.DefRange, SSH: SSH{User: "core"}}}
		l.diags = append(l.diags, gohcl.DecodeBody(b.Body, nil, &c.raw)...)
		l.leaveOut(&c.raw)
		l.named("cluster", c.Name, maxCluster, b.LabelRanges[0])
		l.cluster(c, providers)
		list = append(list, c)
	}
	l.allot(list)
	l.check(list)
	if !l.diags.HasErrors() {
		finish(list)
	}
	return list
}

// finish fills in what only a spec without errors has.
func finish(list []*cluster) {
	for _, c := range list {
		c.gather()
		c.defaults()
	}
}

func (l *loader) cluster(c *cluster, providers []Provider) {
	if !l.missing(c.raw.Domain, c.Range, "domain", `"lab.test"`) {
		c.Domain, _ = l.domain(c.raw.Domain)
	}
	if !l.missing(c.raw.Release, c.Range, "release", `"okd-4.20"`) {
		c.Release, _ = l.release(c.raw.Release)
	}
	l.pullSecret(c)
	l.ssh(c)
	l.installer(c)
	l.services(c)
	l.place(c, providers)
	c.standMachine(l.nets)
	for i := range c.raw.Machines {
		c.machines = append(c.machines, l.machines(c, &c.raw.Machines[i]))
	}
	c.TTL, _ = l.duration(c.raw.TTL, `"8h"`)
	c.Protect, _ = l.boolean(c.raw.Protect)
	l.checkBlocks(c)
}

func (l *loader) pullSecret(c *cluster) {
	c.PullSecret, _ = l.secret(c.raw.PullSecret)
	if c.raw.PullSecret == nil && strings.HasPrefix(c.Release, "ocp-") {
		l.errorf(c.raw.Release.Expr.Range(), "Missing pull secret",
			"OpenShift images need a pull secret (OKD's do not). Write pull_secret = secret.pull, and declare secret \"pull\" { file = \"~/.pull-secret.json\" }.")
	}
}

var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)

func (l *loader) ssh(c *cluster) {
	raw := c.raw.SSH
	if raw == nil {
		return
	}
	if user, ok := l.text(raw.User, `"core"`); ok {
		c.SSH.User = user
		if !userName.MatchString(user) {
			l.errorf(raw.User.Expr.Range(), "Invalid user", "%q is not the name of a user. Write user = \"core\".", user)
		}
	}
	keys, _ := l.items(raw.AuthorizedKeys, `["ssh-ed25519 AAAA... me@lab"]`)
	for n, key := range keys {
		line := strings.TrimSpace(key.text)
		if _, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line)); err != nil || len(rest) > 0 {
			l.notAKey(n, key.at)
			continue
		}
		c.SSH.AuthorizedKeys = append(c.SSH.AuthorizedKeys, line)
	}
}

// notAKey does not show what stands there: it may be a private key.
func (l *loader) notAKey(n int, at hcl.Range) {
	l.errorf(at, "Invalid SSH key", "Entry %d is not one line of an authorized_keys file. Write a public key, such as \"ssh-ed25519 AAAA... me@lab\".", n+1)
	l.diags[len(l.diags)-1].Extra = hidden{}
}

func (l *loader) installer(c *cluster) {
	if len(c.raw.Installers) == 0 {
		l.absentf(c.Range, "installer", "Missing installer block", "Write installer \"assisted\" { endpoint = \"http://192.0.2.9:8090\" } in this cluster.")
		return
	}
	first := c.raw.Installers[0]
	for _, other := range c.raw.Installers[1:] {
		l.errorf(other.Range, "Duplicate block", "A cluster has one installer, and there is one already, at %s. Remove one of them.", first.Range)
	}
	if l.known("installer", first.Type, l.opts.InstallerTypes, first.TypeRange) {
		l.judge(l.opts.ValidateInstaller, first.Type, first.Body)
	}
	c.Installer = Installer{first.Type, first.Body, l.ctx, first.Range}
}

// place finds the provider and the network of c: the ones it names, or the
// only ones there are.
func (l *loader) place(c *cluster, providers []Provider) {
	var labels []string
	for _, p := range providers {
		labels = append(labels, p.Label)
	}
	if i := l.choose(c, "provider", `"proxmox" "home" { ... }`, c.raw.Provider, labels); i >= 0 {
		c.Provider = providers[i]
	}
	labels = nil
	for _, n := range l.nets {
		labels = append(labels, n.Label)
	}
	if i := l.choose(c, "network", `"lan" { cidr = "192.0.2.0/24" }`, c.raw.Network, labels); i >= 0 {
		c.network, c.Network = l.nets[i], l.nets[i].Network
	}
}

// choose returns the index of the label that a names, or -1.
func (l *loader) choose(c *cluster, what, example string, a *hcl.Attribute, labels []string) int {
	switch {
	case a != nil:
		return l.chosen(what, a, labels)
	case len(labels) == 0:
		l.absentf(c.Range, what, "Missing "+what, "The spec has no %s block. Write %s %s.", what, what, example)
		return -1
	case len(labels) > 1:
		l.errorf(c.Range, "Ambiguous "+what, "There are several: %s. Write %s = %q in this cluster.", strings.Join(labels, ", "), what, labels[0])
		return -1
	}
	return 0
}

func (l *loader) chosen(what string, a *hcl.Attribute, labels []string) int {
	name, ok := l.text(a, `"home"`)
	i := slices.Index(labels, name)
	if ok && i < 0 {
		l.errorf(a.Expr.Range(), "Unknown "+what, "There is no %s named %q. %s", what, name, didYouMean(name, labels))
	}
	return i
}

// gather puts the nodes in their order: control plane first.
func (c *cluster) gather() {
	count := 0
	for range c.each {
		count++
	}
	c.Nodes = make([]Node, 0, count)
	for _, role := range []Role{ControlPlane, Worker} {
		for _, m := range c.machines {
			for _, n := range m.nodes {
				if n.Role == role {
					if n.net != nil {
						n.Network = n.net.Network
					}
					c.Nodes = append(c.Nodes, n.Node)
				}
			}
		}
	}
}
