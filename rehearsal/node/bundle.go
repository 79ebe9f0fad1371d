package node

// A Bundle is what an installation makes of a cluster: the root of its trust
// and its credentials. The installer service generates it with NewBundle and
// hands it to hosts inside their Ignition configuration.
type Bundle struct {
	ClusterID  string   `json:"cluster_id"`
	Name       string   `json:"name"`   // mycluster
	Domain     string   `json:"domain"` // lab.test
	Release    string   `json:"release"`
	CACert     []byte   `json:"ca_cert"` // PEM
	CAKey      []byte   `json:"ca_key"`  // PEM
	Kubeconfig []byte   `json:"kubeconfig"`
	Password   string   `json:"password"` // kubeadmin
	SSHKeys    []string `json:"ssh_keys"`
	Hosts      []Member `json:"hosts"`
}

// A Member is one host of the cluster as the installation planned it.
type Member struct {
	HostID    string `json:"host_id"`
	Hostname  string `json:"hostname"`
	Role      string `json:"role"` // master, worker
	Bootstrap bool   `json:"bootstrap,omitempty"`
}
