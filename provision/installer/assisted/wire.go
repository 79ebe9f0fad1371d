package assisted

import "encoding/json"

// What is read of the swagger definitions of the same names.

type cluster struct {
	ID               string   `json:"id"`
	Name             string   `json:"name"`
	BaseDNSDomain    string   `json:"base_dns_domain"`
	OpenshiftVersion string   `json:"openshift_version"`
	Tags             string   `json:"tags"`
	Status           string   `json:"status"`
	StatusInfo       string   `json:"status_info"`
	Validations      string   `json:"validations_info"` // JSON in a string
	Progress         progress `json:"progress"`
	Hosts            []host   `json:"hosts"`
}

type progress struct {
	Total           int    `json:"total_percentage"`
	FinalizingStage string `json:"finalizing_stage"`
}

type host struct {
	ID          string       `json:"id"`
	InfraEnvID  string       `json:"infra_env_id"`
	Status      string       `json:"status"`
	StatusInfo  string       `json:"status_info"`
	Role        string       `json:"role"`
	Hostname    string       `json:"requested_hostname"`
	Inventory   string       `json:"inventory"` // JSON in a string
	DiskID      string       `json:"installation_disk_id"`
	Validations string       `json:"validations_info"` // JSON in a string
	Progress    hostProgress `json:"progress"`
}

type hostProgress struct {
	Stage      string `json:"current_stage"`
	Info       string `json:"progress_info"` // "50%" while writing
	Percentage int    `json:"installation_percentage"`
}

type inventory struct {
	Hostname   string `json:"hostname"`
	Interfaces []struct {
		MAC  string   `json:"mac_address"`
		IPv4 []string `json:"ipv4_addresses"`
	} `json:"interfaces"`
	Disks []disk `json:"disks"`
}

type disk struct {
	ID          string `json:"id"`
	Eligibility struct {
		Eligible bool `json:"eligible"`
	} `json:"installation_eligibility"`
}

// seen is what the host reported of itself; empty before it has.
func (h host) seen() inventory {
	var i inventory
	if h.Inventory == "" || json.Unmarshal([]byte(h.Inventory), &i) != nil {
		return inventory{}
	}
	return i
}

type infraEnv struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	ClusterID string `json:"cluster_id"`
}

type imageURL struct {
	URL string `json:"url"`
}

type credentials struct {
	Password string `json:"password"`
	Console  string `json:"console_url"`
}

// What is sent. The service refuses fields it does not know, and older ones
// know fewer: only these go out.

type clusterParams struct {
	Name                  string   `json:"name"`
	OpenshiftVersion      string   `json:"openshift_version"`
	PullSecret            string   `json:"pull_secret"`
	BaseDNSDomain         string   `json:"base_dns_domain"`
	ControlPlaneCount     int      `json:"control_plane_count"`
	Platform              platform `json:"platform"`
	UserManagedNetworking bool     `json:"user_managed_networking"`
	SSHPublicKey          string   `json:"ssh_public_key,omitempty"`
	NTPSource             string   `json:"additional_ntp_source,omitempty"`
	Tags                  string   `json:"tags"`
}

type platform struct {
	Type string `json:"type"`
}

type infraEnvParams struct {
	Name             string        `json:"name"`
	ClusterID        string        `json:"cluster_id"`
	OpenshiftVersion string        `json:"openshift_version"`
	PullSecret       string        `json:"pull_secret"`
	ImageType        string        `json:"image_type"`
	SSHAuthorizedKey string        `json:"ssh_authorized_key,omitempty"`
	NTPSources       string        `json:"additional_ntp_sources,omitempty"`
	StaticNetwork    []hostNetwork `json:"static_network_config"`
}

type hostNetwork struct {
	NetworkYAML string         `json:"network_yaml"`
	MACs        []macInterface `json:"mac_interface_map"`
}

type macInterface struct {
	MAC  string `json:"mac_address"`
	Name string `json:"logical_nic_name"`
}

type hostUpdate struct {
	Role  string       `json:"host_role,omitempty"`
	Name  string       `json:"host_name,omitempty"`
	Disks []diskChoice `json:"disks_selected_config,omitempty"`
}

type diskChoice struct {
	ID   string `json:"id"`
	Role string `json:"role"`
}
