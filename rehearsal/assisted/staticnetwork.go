package assisted

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-project/slipway/rehearsal/node"
)

// A hostNetwork is the swagger definition "host_static_network_config".
type hostNetwork struct {
	NetworkYAML string   `json:"network_yaml"`
	MACs        []macMap `json:"mac_interface_map"`
}

type macMap struct {
	MAC  string `json:"mac_address"`
	Name string `json:"logical_nic_name"`
}

// checkStaticNetworks refuses configurations as the service does: a MAC may
// stand in one host only, and every ethernet interface needs a mapping.
func checkStaticNetworks(hosts []hostNetwork) ([]node.StaticNetwork, error) {
	var networks []node.StaticNetwork
	var problems []string
	owners := map[string]int{}
	for i, h := range hosts {
		macs, err := h.macs(i, owners)
		if err == nil {
			err = h.checkInterfaces(macs)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("failed to validate network yaml for host %d, %s", i, err))
			continue
		}
		networks = append(networks, node.StaticNetwork{NMState: h.NetworkYAML, MACs: macs})
	}
	if len(problems) > 0 {
		return nil, failf(http.StatusBadRequest, "%d error(s) occurred: %s", len(problems), strings.Join(problems, "; "))
	}
	return networks, nil
}

var macAddress = regexp.MustCompile(`^([0-9A-Fa-f]{2}[:]){5}([0-9A-Fa-f]{2})$`)

func (h hostNetwork) macs(index int, owners map[string]int) (map[string]string, error) {
	if len(h.MACs) == 0 {
		return nil, fmt.Errorf("at least one interface for host %d must be provided", index)
	}
	macs, names := map[string]string{}, map[string]bool{}
	for _, m := range h.MACs {
		mac := strings.ToLower(m.MAC)
		if !macAddress.MatchString(mac) {
			return nil, fmt.Errorf("mac_address %q is not valid", m.MAC)
		}
		if _, taken := owners[mac]; taken || names[m.Name] {
			return nil, fmt.Errorf("MACs and Interfaces for host %d must be unique", index)
		}
		owners[mac], names[m.Name], macs[mac] = index, true, m.Name
	}
	return macs, nil
}

func (h hostNetwork) checkInterfaces(macs map[string]string) error {
	var doc struct {
		Interfaces []struct {
			Name string `yaml:"name"`
			Type string `yaml:"type"`
		} `yaml:"interfaces"`
	}
	if err := yaml.Unmarshal([]byte(h.NetworkYAML), &doc); err != nil {
		return fmt.Errorf("error unmarshalling yaml: %w", err)
	}
	if len(doc.Interfaces) == 0 {
		return fmt.Errorf("interface name not found in networks configuration")
	}
	mapped := map[string]bool{}
	for _, name := range macs {
		mapped[name] = true
	}
	for _, i := range doc.Interfaces {
		if i.Type == "ethernet" && !mapped[i.Name] {
			return fmt.Errorf("mac-interface mapping for interface %s is missing", i.Name)
		}
	}
	return nil
}
