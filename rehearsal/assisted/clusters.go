package assisted

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// clusterParams is what the rehearsal honours of the swagger definition
// "cluster-create-params"; the rest is refused like an unknown field.
type clusterParams struct {
	Name                  string           `json:"name"`
	HighAvailabilityMode  string           `json:"high_availability_mode"`
	OpenshiftVersion      string           `json:"openshift_version"`
	BaseDNSDomain         string           `json:"base_dns_domain"`
	PullSecret            string           `json:"pull_secret"`
	SSHPublicKey          string           `json:"ssh_public_key"`
	UserManagedNetworking bool             `json:"user_managed_networking"`
	AdditionalNTPSource   string           `json:"additional_ntp_source"`
	NetworkType           string           `json:"network_type"`
	SchedulableMasters    bool             `json:"schedulable_masters"`
	ClusterNetworks       []clusterNetwork `json:"cluster_networks"`
	ServiceNetworks       []network        `json:"service_networks"`
	MachineNetworks       []network        `json:"machine_networks"`
	Platform              *platform        `json:"platform"`
	CPUArchitecture       string           `json:"cpu_architecture"`
	Tags                  string           `json:"tags"`
	ControlPlaneCount     *int             `json:"control_plane_count"`
}

func (s *Service) postCluster(r *http.Request) (int, any, error) {
	var p clusterParams
	if err := decode(r, "new-cluster-params", &p); err != nil {
		return 0, nil, err
	}
	if err := p.check(); err != nil {
		return 0, nil, err
	}
	version, ok := s.resolve(p.OpenshiftVersion)
	if !ok {
		return 0, nil, failf(http.StatusBadRequest, "Openshift version %s for CPU architecture x86_64 is not supported: no release image found", p.OpenshiftVersion)
	}
	c := p.cluster(version)
	s.clusters[c.ID] = c
	s.event(c, nil, "cluster_registration_succeeded", "info", "Successfully registered cluster")
	s.refreshCluster(c, now().Time)
	return http.StatusCreated, c.view(), nil
}

func (p clusterParams) check() error {
	checks := []func() error{
		func() error {
			return required(map[string]bool{"name": p.Name != "", "openshift_version": p.OpenshiftVersion != "", "pull_secret": p.PullSecret != ""})
		},
		func() error { return checkClusterName(p.Name) },
		func() error { return checkPullSecret(p.PullSecret) },
		func() error { return checkTags(p.Tags) },
		func() error { return rehearsed("cpu_architecture", p.CPUArchitecture, "", "x86_64") },
		p.checkNetworking,
		p.checkControlPlane,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

var clusterName = regexp.MustCompile(`^([a-z]([-a-z0-9]*[a-z0-9])?)*$`)

func checkClusterName(name string) error {
	if len(name) > 54 {
		return schemaf(604, "name in body should be at most 54 chars long")
	}
	if !clusterName.MatchString(name) {
		return failf(http.StatusBadRequest, "Cluster name format mismatch: %s name is not valid. Cluster name must consist of lower-case letters, numbers and hyphens. It must start with a letter and end with a letter or number", name)
	}
	return nil
}

func checkPullSecret(secret string) error {
	var parsed struct {
		Auths map[string]struct {
			Auth string `json:"auth"`
		} `json:"auths"`
	}
	if json.Unmarshal([]byte(secret), &parsed) != nil || len(parsed.Auths) == 0 {
		return failf(http.StatusBadRequest, "pull secret for new cluster is invalid: invalid pull secret: auths key is not found or malformed")
	}
	for host, a := range parsed.Auths {
		if a.Auth == "" {
			return failf(http.StatusBadRequest, "pull secret for new cluster is invalid: pull secret auth is empty for %s", host)
		}
	}
	return nil
}

var tagWord = regexp.MustCompile(`^\w+( \w+)*$`)

func checkTags(tags string) error {
	if tags == "" {
		return nil
	}
	for tag := range strings.SplitSeq(tags, ",") {
		if !tagWord.MatchString(tag) {
			return failf(http.StatusBadRequest, "Invalid format for Tags: %s. Tags should be a comma-separated list (e.g. tag1,tag2,tag3). Each tag can consist of the following characters: Alphanumeric (aA-zZ, 0-9), underscore (_) and white-spaces.", tags)
		}
	}
	return nil
}

// checkNetworking refuses mixes of platform and user-managed networking; the
// service simulates network mode "none" only.
func (p clusterParams) checkNetworking() error {
	kind := "baremetal"
	if p.Platform != nil {
		kind = p.Platform.Type
	}
	if err := oneOf("platform.type", kind, "baremetal", "nutanix", "vsphere", "none", "external"); err != nil {
		return err
	}
	if (kind == "none") != p.UserManagedNetworking {
		return failf(http.StatusBadRequest, "Can't set %s platform with user-managed-networking %v", kind, map[bool]string{true: "enabled", false: "disabled"}[p.UserManagedNetworking])
	}
	return rehearsed("platform.type", kind, "none")
}

// rehearsed refuses what the real service can do and this one cannot.
func rehearsed(name, value string, can ...string) error {
	if slices.Contains(can, value) {
		return nil
	}
	return failf(http.StatusBadRequest, "%s %s is not part of this rehearsal", name, value)
}

func (p clusterParams) checkControlPlane() error {
	if n := p.controlPlanes(); !slices.Contains([]int{1, 3, 4, 5}, n) {
		return failf(http.StatusBadRequest, "Invalid control_plane_count: %d. Supported values are 1, 3, 4 and 5", n)
	}
	return nil
}

func (p clusterParams) controlPlanes() int {
	switch {
	case p.ControlPlaneCount != nil:
		return *p.ControlPlaneCount
	case p.HighAvailabilityMode == "None":
		return 1
	}
	return 3
}

func (p clusterParams) cluster(version string) *cluster {
	id := uuid.NewString()
	c := &cluster{
		Kind: "Cluster", ID: id, Href: base + "/clusters/" + id,
		Name: p.Name, BaseDNSDomain: p.BaseDNSDomain,
		OpenshiftVersion: version, ReleaseImage: releaseImage(version),
		Platform: *p.Platform, UserManagedNetworking: p.UserManagedNetworking,
		ControlPlaneCount: p.controlPlanes(), HighAvailabilityMode: "Full",
		CPUArchitecture: "x86_64", NetworkType: "OVNKubernetes",
		ClusterNetworks: p.ClusterNetworks, ServiceNetworks: p.ServiceNetworks, MachineNetworks: p.MachineNetworks,
		SSHPublicKey: p.SSHPublicKey, AdditionalNTPSource: p.AdditionalNTPSource,
		PullSecretSet: true, Tags: p.Tags, SchedulableMasters: p.SchedulableMasters, SchedulableForced: true,
		Status: "insufficient", StatusUpdatedAt: now(), CreatedAt: now(), UpdatedAt: now(),
		MonitoredOperators: builtinOperators(id), Hosts: []*host{},
	}
	c.defaultNetworks()
	if c.ControlPlaneCount == 1 {
		c.HighAvailabilityMode = "None"
	}
	return c
}

func (c *cluster) defaultNetworks() {
	if len(c.ClusterNetworks) == 0 {
		c.ClusterNetworks = []clusterNetwork{{"10.128.0.0/14", 23}}
	}
	if len(c.ServiceNetworks) == 0 {
		c.ServiceNetworks = []network{{"172.30.0.0/16"}}
	}
	if c.MachineNetworks == nil {
		c.MachineNetworks = []network{}
	}
}

func (s *Service) getClusters(r *http.Request) (int, any, error) {
	list := []*cluster{}
	for _, c := range s.clusters {
		view := c.view()
		if r.URL.Query().Get("with_hosts") != "true" {
			view.Hosts = []*host{}
		}
		list = append(list, view)
	}
	slices.SortFunc(list, func(a, b *cluster) int { return strings.Compare(a.ID, b.ID) })
	return http.StatusOK, list, nil
}

func (s *Service) getCluster(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	view := c.view()
	if r.URL.Query().Get("exclude-hosts") == "true" {
		view.Hosts = []*host{}
	}
	return http.StatusOK, view, nil
}

// view is c with what is counted when it is asked for.
func (c *cluster) view() *cluster {
	view := *c
	view.TotalHosts, view.EnabledHosts = len(c.Hosts), len(c.Hosts)
	view.ReadyHosts = c.countHosts("known")
	return &view
}

func (c *cluster) countHosts(statuses ...string) int {
	n := 0
	for _, h := range c.Hosts {
		if slices.Contains(statuses, h.Status) {
			n++
		}
	}
	return n
}

func (s *Service) clusterOf(r *http.Request) (*cluster, error) {
	id := r.PathValue("cluster_id")
	if uuid.Validate(id) != nil {
		return nil, schemaf(601, "cluster_id in path must be of type uuid: %q", id)
	}
	if c, ok := s.clusters[id]; ok {
		return c, nil
	}
	return nil, failf(http.StatusNotFound, "Failed to get cluster %s: record not found", id)
}

// clusterUpdate is what the simulated part of "v2-cluster-update-params" is.
type clusterUpdate struct {
	Name                *string `json:"name"`
	BaseDNSDomain       *string `json:"base_dns_domain"`
	PullSecret          *string `json:"pull_secret"`
	SSHPublicKey        *string `json:"ssh_public_key"`
	AdditionalNTPSource *string `json:"additional_ntp_source"`
	SchedulableMasters  *bool   `json:"schedulable_masters"`
	Tags                *string `json:"tags"`
	ControlPlaneCount   *int    `json:"control_plane_count"`
}

var updatable = []string{"insufficient", "ready", "pending-for-input", "adding-hosts"}

func (s *Service) patchCluster(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	var p clusterUpdate
	if err := decode(r, "cluster-update-params", &p); err != nil {
		return 0, nil, err
	}
	if !slices.Contains(updatable, c.Status) {
		return 0, nil, failf(http.StatusConflict, "Cluster %s is in %s state, cluster can be updated only in one of %v", c.ID, c.Status, updatable)
	}
	if err := p.apply(c); err != nil {
		return 0, nil, err
	}
	c.UpdatedAt = now()
	s.refreshCluster(c, now().Time)
	return http.StatusCreated, c.view(), nil
}

func (p clusterUpdate) apply(c *cluster) error {
	if p.Tags != nil {
		if err := checkTags(*p.Tags); err != nil {
			return err
		}
	}
	if p.PullSecret != nil {
		if err := checkPullSecret(*p.PullSecret); err != nil {
			return err
		}
	}
	if p.Name != nil {
		if err := checkClusterName(*p.Name); err != nil {
			return err
		}
	}
	set(&c.Name, p.Name)
	set(&c.BaseDNSDomain, p.BaseDNSDomain)
	set(&c.SSHPublicKey, p.SSHPublicKey)
	set(&c.AdditionalNTPSource, p.AdditionalNTPSource)
	set(&c.SchedulableMasters, p.SchedulableMasters)
	set(&c.Tags, p.Tags)
	set(&c.ControlPlaneCount, p.ControlPlaneCount)
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// deleteCluster forgets the cluster in any state, with the hosts of the infra
// envs that belong to it.
func (s *Service) deleteCluster(r *http.Request) (int, any, error) {
	c, err := s.clusterOf(r)
	if err != nil {
		return 0, nil, err
	}
	for _, h := range c.Hosts {
		if ie := s.infraEnvs[h.InfraEnvID]; ie != nil {
			delete(ie.hosts, h.ID)
		}
	}
	delete(s.clusters, c.ID)
	return http.StatusNoContent, nil, nil
}
