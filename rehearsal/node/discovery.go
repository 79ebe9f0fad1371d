package node

// Discovery is what a discovery ISO tells the live system that boots from it.
// The installer service writes it into the image; the host reads it back from
// the very bytes that are in its CD tray.
type Discovery struct {
	ServiceURL string          `json:"service_url"` // http://192.0.2.9:8090
	InfraEnvID string          `json:"infra_env_id"`
	AgentToken string          `json:"agent_token,omitempty"` // sent as X-Secret-Key; empty: no authentication
	SSHKeys    []string        `json:"ssh_keys"`              // authorized_keys lines of user core
	Networks   []StaticNetwork `json:"networks"`
}

// A StaticNetwork is the nmstate document for the host that has its MACs.
type StaticNetwork struct {
	NMState string            `json:"nmstate"` // YAML
	MACs    map[string]string `json:"macs"`    // MAC (lower case) -> interface name in NMState
}
