package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A Site is what the hosts of a World share without a wire: the etcd of each
// installation of a cluster. It is safe for concurrent use.
type Site struct {
	mu    sync.Mutex
	etcds map[string]*memory // by installation
	hosts map[string]*heard  // at the other ends of wires, by id
}

// NewSite returns a Site without clusters.
func NewSite() *Site { return &Site{etcds: map[string]*memory{}, hosts: map[string]*heard{}} }

// Shared is what hosts share: a [Site] in the same process, or the [Wire] to
// one.
type Shared interface {
	// etcd returns that of an installation, which is empty at first.
	etcd(installation string) etcd
}

func (s *Site) etcd(installation string) etcd {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.etcds[installation] == nil {
		s.etcds[installation] = newMemory()
	}
	return s.etcds[installation]
}

// Lost tells the clusters that the power of a host was cut: what ran on it
// runs no more.
func (s *Site) Lost(hostID string) {
	s.mu.Lock()
	etcds := slices.Collect(maps.Values(s.etcds))
	s.mu.Unlock()
	for _, e := range etcds {
		c := &cluster{store: store{e}}
		c.etcdDown(hostID)
		c.etcdDown(temporaryID(hostID))
		c.removeRouter(hostID)
	}
}

// installation tells installations apart: one that is begun again has another
// authority.
func (b Bundle) installation() string { return b.ClusterID + "/" + b.digest("installation") }

// digest is what all hosts derive alike from the authority's key.
func (b Bundle) digest(purpose string) string {
	sum := sha256.Sum256([]byte(purpose + "\n" + string(b.CAKey)))
	return hex.EncodeToString(sum[:16])
}

// openCluster returns the cluster of bundle, which the first host makes.
func openCluster(shared Shared, b Bundle, r Reporter) (*cluster, error) {
	ca, err := b.authority()
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", b.fullName(), err)
	}
	c := &cluster{bundle: b, reporter: r, ca: ca, token: b.digest("node bootstrapper"), store: store{shared.etcd(b.installation())}}
	if _, first := c.store.create(factsOf, object{Spec: raw(facts{})}); first {
		c.announceOperators()
	}
	return c, nil
}

// bundlePath is the file in a host's ignition that holds the bundle.
const bundlePath = "/opt/openshift/rehearsal-bundle.json"

// readBundle takes the bundle out of a host's ignition.
func readBundle(data []byte) (b Bundle, err error) {
	var config ignition
	if err := json.Unmarshal(data, &config); err != nil {
		return b, fmt.Errorf("ignition: %w", err)
	}
	if err := config.check(); err != nil {
		return b, fmt.Errorf("ignition: %w", err)
	}
	content, ok, err := config.read(bundlePath)
	if err != nil {
		return b, fmt.Errorf("ignition: %w", err)
	}
	if !ok {
		return b, fmt.Errorf("ignition: %s is missing", bundlePath)
	}
	if err := json.Unmarshal(content, &b); err != nil {
		return b, fmt.Errorf("ignition: %s: %w", bundlePath, err)
	}
	return b, nil
}

// member returns the plan for the host with that id.
func (b Bundle) member(id string) (Member, error) {
	i := slices.IndexFunc(b.Hosts, func(m Member) bool { return m.HostID == id })
	if i < 0 {
		return Member{}, fmt.Errorf("host %s is no member of cluster %s", id, b.fullName())
	}
	return b.Hosts[i], nil
}

func (b Bundle) withRole(role string) []Member {
	return slices.DeleteFunc(slices.Clone(b.Hosts), func(m Member) bool { return m.Role != role })
}

// A cluster is a host's view of what its control plane keeps in common.
type cluster struct {
	bundle   Bundle
	reporter Reporter
	ca       *authority
	token    string // of the node bootstrapper, in every machine config
	store    store
}

// facts is what control plane hosts know of each other.
type facts struct {
	Etcd      map[string]bool `json:"etcd,omitempty"`      // member (host id) -> it runs
	Leaders   []string        `json:"leaders,omitempty"`   // host ids that may run the controller, oldest first
	Fetched   []string        `json:"fetched,omitempty"`   // host ids whose ignition was served
	Routers   map[string]bool `json:"routers,omitempty"`   // host ids that a router is scheduled on -> it runs
	Bootstrap bool            `json:"bootstrap,omitempty"` // the temporary control plane is done
	Told      bool            `json:"told,omitempty"`      // the installer, that all of the cluster is available
	Complete  bool            `json:"complete,omitempty"`  // the installation is, for all hosts
}

// facts returns them as they are now.
func (c *cluster) facts() facts {
	o, _ := c.store.get(factsOf, "", "")
	return parse[facts](o.Spec)
}

// learn changes the facts; edit may be called more than once, and says whether
// it has changed them.
func (c *cluster) learn(edit func(*facts) bool) (changed bool) {
	_, known, err := c.store.change(factsOf, "", "", func(o *object) error {
		f := parse[facts](o.Spec)
		if !edit(&f) {
			return errUnchanged
		}
		o.Spec = raw(f)
		return nil
	})
	return known && err == nil
}

var errQuorum = errors.New("etcdserver: request timed out")

// etcdUp says that the etcd member on host id runs; the first time it joins.
func (c *cluster) etcdUp(id string) {
	c.learn(func(f *facts) bool {
		if f.Etcd == nil {
			f.Etcd = map[string]bool{}
		}
		f.Etcd[id] = true
		if !slices.Contains(f.Leaders, id) {
			f.Leaders = append(f.Leaders, id)
		}
		return true
	})
}

// etcdDown says that the member on host id is off; it stays a member.
func (c *cluster) etcdDown(id string) {
	c.learn(func(f *facts) bool {
		runs := f.Etcd[id]
		if runs {
			f.Etcd[id] = false
		}
		return runs
	})
}

// quorum reports an error unless more than half of etcd's members run.
func (c *cluster) quorum() error {
	members, up := c.facts().Etcd, 0
	for _, runs := range members {
		if runs {
			up++
		}
	}
	if up*2 <= len(members) {
		return errQuorum
	}
	return nil
}

// leads reports whether host id runs the cluster's controllers: the first of
// the hosts that have a control plane and run.
func (c *cluster) leads(id string) bool {
	f := c.facts()
	for _, leader := range f.Leaders {
		if f.Etcd[leader] {
			return leader == id
		}
	}
	return false
}

// temporaryID is the etcd member of the bootstrap host's live system, which is
// another than that of its installed one.
func temporaryID(id string) string { return id + "/bootstrap" }

// finishBootstrap removes the temporary control plane of host id.
func (c *cluster) finishBootstrap(id string) {
	c.learn(func(f *facts) bool {
		delete(f.Etcd, temporaryID(id))
		f.Leaders = slices.DeleteFunc(f.Leaders, func(l string) bool { return l == temporaryID(id) })
		f.Bootstrap = true
		return true
	})
	c.store.put(configMaps, object{Metadata: metadata{Name: "bootstrap", Namespace: "kube-system"}, Data: map[string]string{"status": "complete"}})
}

// wantedMasters is how many control plane nodes make a control plane.
func (c *cluster) wantedMasters() int { return min(2, len(c.bundle.withRole("master"))) }

// wantMasters is an error until enough control plane nodes are Ready.
func (c *cluster) wantMasters() error {
	return wantReady(c.store.all(nodes), "master", c.wantedMasters())
}

// wantControlPlanes is an error until enough control plane nodes have an API
// server and an etcd of their own.
func (c *cluster) wantControlPlanes() error {
	members, up := c.facts().Etcd, 0
	for _, m := range c.bundle.Hosts {
		if members[m.HostID] {
			up++
		}
	}
	if want := c.wantedMasters(); up < want {
		return fmt.Errorf("bootkube: %d of %d control plane nodes have their static pods", up, want)
	}
	return nil
}

// bootstrapped reports whether the temporary control plane is done.
func (c *cluster) bootstrapped() bool { return c.facts().Bootstrap }

func (c *cluster) setFetched(id string) {
	c.learn(func(f *facts) bool {
		if slices.Contains(f.Fetched, id) {
			return false
		}
		f.Fetched = append(f.Fetched, id)
		return true
	})
}

func (c *cluster) hasFetched(id string) bool { return slices.Contains(c.facts().Fetched, id) }

// reported reports whether the installer knows that the cluster is available.
func (c *cluster) reported() bool { return c.facts().Told }

func (c *cluster) setReported() {
	c.learn(func(f *facts) bool { f.Told = true; return true })
}

// completed reports whether the installation is complete; with it ends the
// approval of all certificate requests.
func (c *cluster) completed() bool { return c.facts().Complete }

func (c *cluster) setCompleted() {
	c.learn(func(f *facts) bool { f.Complete = true; return true })
}
