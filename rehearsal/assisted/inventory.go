package assisted

// An inventory is the swagger definition "inventory", as far as validations
// read it.
type inventory struct {
	Hostname   string  `json:"hostname"`
	Interfaces []nic   `json:"interfaces"`
	Disks      []disk  `json:"disks"`
	Boot       any     `json:"boot,omitempty"`
	Vendor     any     `json:"system_vendor,omitempty"`
	Memory     memory  `json:"memory"`
	CPU        cpu     `json:"cpu"`
	Routes     []route `json:"routes"`
}

type nic struct {
	Name       string   `json:"name"`
	MAC        string   `json:"mac_address"`
	MTU        int      `json:"mtu,omitempty"`
	HasCarrier bool     `json:"has_carrier"`
	IPv4       []string `json:"ipv4_addresses"`
	IPv6       []string `json:"ipv6_addresses"`
	Flags      []string `json:"flags,omitempty"`
	Speed      int      `json:"speed_mbps,omitempty"`
	Type       string   `json:"type,omitempty"`
}

type disk struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Path         string       `json:"path"`
	ByID         string       `json:"by_id,omitempty"`
	ByPath       string       `json:"by_path,omitempty"`
	DriveType    string       `json:"drive_type,omitempty"`
	Model        string       `json:"model,omitempty"`
	Serial       string       `json:"serial,omitempty"`
	Vendor       string       `json:"vendor,omitempty"`
	HCTL         string       `json:"hctl,omitempty"`
	SizeBytes    int64        `json:"size_bytes"`
	Bootable     bool         `json:"bootable,omitempty"`
	Removable    bool         `json:"removable,omitempty"`
	InstallMedia bool         `json:"is_installation_media,omitempty"`
	Eligibility  *eligibility `json:"installation_eligibility,omitempty"`
}

type eligibility struct {
	Eligible bool     `json:"eligible"`
	Reasons  []string `json:"not_eligible_reasons,omitempty"`
}

type memory struct {
	Physical int64  `json:"physical_bytes"`
	Usable   int64  `json:"usable_bytes"`
	Method   string `json:"physical_bytes_method,omitempty"`
}

type cpu struct {
	Count        int      `json:"count"`
	Frequency    float64  `json:"frequency,omitempty"`
	Architecture string   `json:"architecture,omitempty"`
	Model        string   `json:"model_name,omitempty"`
	Flags        []string `json:"flags,omitempty"`
}

type route struct {
	Interface   string `json:"interface,omitempty"`
	Gateway     string `json:"gateway,omitempty"`
	Destination string `json:"destination,omitempty"`
	Family      int    `json:"family,omitempty"`
	Metric      int    `json:"metric,omitempty"`
}

type resolution struct {
	Domain string   `json:"domain_name"`
	IPv4   []string `json:"ipv4_addresses,omitempty"`
	IPv6   []string `json:"ipv6_addresses,omitempty"`
	CNAMEs []string `json:"cnames,omitempty"`
}

type ntpSource struct {
	Name  string `json:"source_name"`
	State string `json:"source_state"`
}

type diskSpeed struct {
	Path     string
	Millis   int64
	ExitCode int
}

// installable lists the disks that an installation may use: not the boot
// media, not removable, large enough for the smallest role.
func (i *inventory) installable(minGB int64) []disk {
	var fit []disk
	for _, d := range i.Disks {
		if d.Eligibility != nil && d.Eligibility.Eligible && d.SizeBytes >= minGB*1e9 {
			fit = append(fit, d)
		}
	}
	return fit
}
