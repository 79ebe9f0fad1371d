package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// A Site is what the hosts of a World share without a wire: the etcd of each
// installation of a cluster. It is safe for concurrent use.
type Site struct {
	mu       sync.Mutex
	clusters map[installationKey]*cluster
}

// An installationKey tells installations apart: one that is begun again has
// another authority.
type installationKey struct{ clusterID, authority string }

// NewSite returns a Site without clusters.
func NewSite() *Site { return &Site{clusters: map[installationKey]*cluster{}} }

// cluster returns the cluster of bundle, which the first host makes.
func (s *Site) cluster(b Bundle, r Reporter) (*cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := installationKey{b.ClusterID, string(b.CACert)}
	if c, ok := s.clusters[key]; ok {
		return c, nil
	}
	c, err := newCluster(b, r)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", b.fullName(), err)
	}
	s.clusters[key] = c
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

// A cluster is what its control plane hosts keep in common: etcd.
type cluster struct {
	bundle   Bundle
	reporter Reporter
	ca       *authority
	token    string // of the node bootstrapper, in every machine config
	store    *store

	mu        sync.Mutex
	etcd      map[string]bool // member (host id) -> it runs
	leaders   []string        // host ids that may run the controller, oldest first
	fetched   map[string]bool // host ids whose ignition was served
	routers   map[string]bool // host ids that a router is scheduled on -> it runs
	bootstrap bool            // the temporary control plane is done
	told      bool            // the installer, that all of the cluster is available
	complete  bool            // the installation is, for all hosts
}

var errQuorum = errors.New("etcdserver: request timed out")

// etcdUp says that the etcd member on host id runs; the first time it joins.
func (c *cluster) etcdUp(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.etcd[id] = true
	if !slices.Contains(c.leaders, id) {
		c.leaders = append(c.leaders, id)
	}
}

// etcdDown says that the member on host id is off; it stays a member.
func (c *cluster) etcdDown(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, member := c.etcd[id]; member {
		c.etcd[id] = false
	}
}

// quorum reports an error unless more than half of etcd's members run.
func (c *cluster) quorum() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := 0
	for _, runs := range c.etcd {
		if runs {
			up++
		}
	}
	if up*2 <= len(c.etcd) {
		return errQuorum
	}
	return nil
}

// leads reports whether host id runs the cluster's controllers: the first of
// the hosts that have a control plane and run.
func (c *cluster) leads(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, leader := range c.leaders {
		if c.etcd[leader] {
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
	c.mu.Lock()
	delete(c.etcd, temporaryID(id))
	c.leaders = slices.DeleteFunc(c.leaders, func(l string) bool { return l == temporaryID(id) })
	c.bootstrap = true
	c.mu.Unlock()
	c.store.put(configMaps, object{Metadata: metadata{Name: "bootstrap", Namespace: "kube-system"}, Data: map[string]string{"status": "complete"}})
}

// wantedMasters is how many control plane nodes make a control plane.
func (c *cluster) wantedMasters() int { return min(2, len(c.bundle.withRole("master"))) }

// wantMasters is an error until enough control plane nodes are Ready.
func (c *cluster) wantMasters() error {
	return wantReady(c.store.list(nodes, ""), "master", c.wantedMasters())
}

// wantControlPlanes is an error until enough control plane nodes have an API
// server and an etcd of their own.
func (c *cluster) wantControlPlanes() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := 0
	for _, m := range c.bundle.Hosts {
		if c.etcd[m.HostID] {
			up++
		}
	}
	if want := c.wantedMasters(); up < want {
		return fmt.Errorf("bootkube: %d of %d control plane nodes have their static pods", up, want)
	}
	return nil
}

// bootstrapped reports whether the temporary control plane is done.
func (c *cluster) bootstrapped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bootstrap
}

func (c *cluster) setFetched(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetched[id] = true
}

func (c *cluster) hasFetched(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fetched[id]
}

// reported reports whether the installer knows that the cluster is available.
func (c *cluster) reported() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}

func (c *cluster) setReported() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = true
}

// completed reports whether the installation is complete; with it ends the
// approval of all certificate requests.
func (c *cluster) completed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.complete
}

func (c *cluster) setCompleted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complete = true
}
