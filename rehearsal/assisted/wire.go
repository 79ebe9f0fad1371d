package assisted

import (
	"time"

	"github.com/slipway-project/slipway/rehearsal/node"
)

// A timestamp is a date-time as the service writes it: the unset one is the
// year 1.
type timestamp struct{ time.Time }

func now() timestamp { return timestamp{time.Now()} }

// MarshalText writes RFC 3339 with milliseconds, as go-openapi/strfmt does.
func (t timestamp) MarshalText() ([]byte, error) {
	return []byte(t.UTC().Format("2006-01-02T15:04:05.000Z")), nil
}

// MarshalJSON overrides that of the embedded time.Time.
func (t timestamp) MarshalJSON() ([]byte, error) {
	text, err := t.MarshalText()
	return append(append([]byte{'"'}, text...), '"'), err
}

type platform struct {
	Type string `json:"type"`
}

type clusterNetwork struct {
	CIDR       string `json:"cidr"`
	HostPrefix int    `json:"host_prefix"`
}

type network struct {
	CIDR string `json:"cidr"`
}

// A cluster is the swagger definition "cluster", as far as the service fills
// it, with what only the service knows.
type cluster struct {
	Kind                  string           `json:"kind"`
	ID                    string           `json:"id"`
	Href                  string           `json:"href"`
	Name                  string           `json:"name"`
	BaseDNSDomain         string           `json:"base_dns_domain"`
	OpenshiftVersion      string           `json:"openshift_version"`
	ReleaseImage          string           `json:"ocp_release_image"`
	ImageInfo             struct{}         `json:"image_info"`
	Platform              platform         `json:"platform"`
	UserManagedNetworking bool             `json:"user_managed_networking"`
	ControlPlaneCount     int              `json:"control_plane_count"`
	HighAvailabilityMode  string           `json:"high_availability_mode"`
	CPUArchitecture       string           `json:"cpu_architecture"`
	NetworkType           string           `json:"network_type"`
	ClusterNetworks       []clusterNetwork `json:"cluster_networks"`
	ServiceNetworks       []network        `json:"service_networks"`
	MachineNetworks       []network        `json:"machine_networks"`
	SSHPublicKey          string           `json:"ssh_public_key,omitempty"`
	AdditionalNTPSource   string           `json:"additional_ntp_source,omitempty"`
	PullSecretSet         bool             `json:"pull_secret_set"`
	Tags                  string           `json:"tags"`
	SchedulableMasters    bool             `json:"schedulable_masters"`
	SchedulableForced     bool             `json:"schedulable_masters_forced_true"`

	Status             string          `json:"status"`
	StatusInfo         string          `json:"status_info"`
	StatusUpdatedAt    timestamp       `json:"status_updated_at"`
	ValidationsInfo    string          `json:"validations_info"`
	Progress           clusterProgress `json:"progress"`
	MonitoredOperators []operator      `json:"monitored_operators"`
	CreatedAt          timestamp       `json:"created_at"`
	UpdatedAt          timestamp       `json:"updated_at"`
	InstallStartedAt   timestamp       `json:"install_started_at"`
	InstallCompletedAt timestamp       `json:"install_completed_at"`
	Hosts              []*host         `json:"hosts"`
	TotalHosts         int             `json:"total_host_count"`
	EnabledHosts       int             `json:"enabled_host_count"`
	ReadyHosts         int             `json:"ready_host_count"`

	bundle    *node.Bundle // once the installation has begun
	completed bool         // the controller called complete-installation
}

type clusterProgress struct {
	Total           int    `json:"total_percentage"`
	Preparing       int    `json:"preparing_for_installation_stage_percentage"`
	Installing      int    `json:"installing_stage_percentage"`
	Finalizing      int    `json:"finalizing_stage_percentage"`
	FinalizingStage string `json:"finalizing_stage,omitempty"`
}

type operator struct {
	ClusterID       string    `json:"cluster_id"`
	Name            string    `json:"name"`
	Type            string    `json:"operator_type"`
	Version         string    `json:"version,omitempty"`
	Status          string    `json:"status,omitempty"`
	StatusInfo      string    `json:"status_info,omitempty"`
	StatusUpdatedAt timestamp `json:"status_updated_at"`
	Timeout         int       `json:"timeout_seconds"`
}

// An infraEnv is the swagger definition "infra-env".
type infraEnv struct {
	Kind             string    `json:"kind"`
	ID               string    `json:"id"`
	Href             string    `json:"href"`
	Name             string    `json:"name"`
	Type             string    `json:"type"`
	ClusterID        string    `json:"cluster_id,omitempty"`
	OpenshiftVersion string    `json:"openshift_version"`
	CPUArchitecture  string    `json:"cpu_architecture"`
	SSHAuthorizedKey string    `json:"ssh_authorized_key,omitempty"`
	NTPSources       string    `json:"additional_ntp_sources,omitempty"`
	StaticNetwork    string    `json:"static_network_config,omitempty"` // JSON in a string
	PullSecretSet    bool      `json:"pull_secret_set"`
	DownloadURL      string    `json:"download_url"`
	ExpiresAt        timestamp `json:"expires_at"`
	CreatedAt        timestamp `json:"created_at"`
	UpdatedAt        timestamp `json:"updated_at"`

	networks   []node.StaticNetwork
	hosts      map[string]*host
	signatures map[string]time.Time // tokens of signed image URLs and their end
	image      string               // file, "" until it is first asked for
}

// A host is the swagger definition "host".
type host struct {
	Kind            string       `json:"kind"`
	ID              string       `json:"id"`
	Href            string       `json:"href"`
	ClusterID       string       `json:"cluster_id,omitempty"`
	InfraEnvID      string       `json:"infra_env_id"`
	Status          string       `json:"status"`
	StatusInfo      string       `json:"status_info"`
	StatusUpdatedAt timestamp    `json:"status_updated_at"`
	ValidationsInfo string       `json:"validations_info"`
	Role            string       `json:"role"`
	SuggestedRole   string       `json:"suggested_role"`
	Bootstrap       bool         `json:"bootstrap"`
	Hostname        string       `json:"requested_hostname,omitempty"`
	Inventory       string       `json:"inventory,omitempty"`
	Domains         string       `json:"domain_name_resolutions,omitempty"`
	NTPSources      string       `json:"ntp_sources,omitempty"`
	DisksInfo       string       `json:"disks_info,omitempty"`
	ImagesStatus    string       `json:"images_status,omitempty"`
	DiskPath        string       `json:"installation_disk_path,omitempty"`
	DiskID          string       `json:"installation_disk_id,omitempty"`
	Progress        hostProgress `json:"progress"`
	ProgressStages  []string     `json:"progress_stages"`
	MediaStatus     string       `json:"media_status"`
	AgentVersion    string       `json:"discovery_agent_version,omitempty"`
	RegisteredAt    timestamp    `json:"registered_at"`
	CheckedInAt     timestamp    `json:"checked_in_at"`
	CreatedAt       timestamp    `json:"created_at"`
	UpdatedAt       timestamp    `json:"updated_at"`
	Timestamp       int64        `json:"timestamp,omitempty"` // the host's clock, Unix seconds

	inventory *inventory
	domains   []resolution      // nil until reported
	ntp       []ntpSource       // nil until reported
	diskSpeed *diskSpeed        // nil until measured
	images    map[string]string // image -> success, failure
	skew      time.Duration     // service clock minus host clock at the last poll
}

type hostProgress struct {
	Stage      string    `json:"current_stage,omitempty"`
	Info       string    `json:"progress_info,omitempty"`
	Percentage int       `json:"installation_percentage"`
	StartedAt  timestamp `json:"stage_started_at"`
	UpdatedAt  timestamp `json:"stage_updated_at"`
}

func (h *host) role() string {
	if h.Role == "auto-assign" {
		return h.SuggestedRole
	}
	return h.Role
}

// hostname is the name in force: the requested one, else the host's own.
func (h *host) hostname() string {
	if h.Hostname == "" && h.inventory != nil {
		return h.inventory.Hostname
	}
	return h.Hostname
}

// nameForMessages is what the service calls a host in its texts.
func (h *host) nameForMessages() string {
	if name := h.hostname(); name != "" {
		return name
	}
	return h.ID
}
