package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
)

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

// Files of the live system.
const (
	agentEnv    = "/etc/assisted/agent.env"
	networkDir  = "/etc/assisted/network/"
	nmstateFile = "ymlFile0.yml"
	macFile     = "mac_interface.ini"
)

// Ignition is the configuration of the live system: user core, the agent's
// environment, and one directory a host with its network.
func (d Discovery) Ignition() ([]byte, error) {
	env, err := d.env()
	if err != nil {
		return nil, err
	}
	config := ignition{
		Ignition: ignitionVersion{"3.1.0"},
		Passwd:   passwd{[]user{{Name: coreUser, Keys: d.SSHKeys}}},
		Storage:  storage{[]file{newFile(agentEnv, 0o600, env)}},
	}
	for i, n := range d.Networks {
		macs, err := n.macLines()
		if err != nil {
			return nil, fmt.Errorf("network of host %d: %w", i, err)
		}
		dir := fmt.Sprintf("%shost%d/", networkDir, i)
		config.Storage.Files = append(config.Storage.Files,
			newFile(dir+nmstateFile, 0o600, []byte(n.NMState)), newFile(dir+macFile, 0o600, macs))
	}
	return json.Marshal(config)
}

func (d Discovery) env() ([]byte, error) {
	var out bytes.Buffer
	for _, v := range [][2]string{{"SERVICE_BASE_URL", d.ServiceURL}, {"INFRA_ENV_ID", d.InfraEnvID}, {"PULL_SECRET_TOKEN", d.AgentToken}} {
		if strings.ContainsAny(v[1], "\r\n") {
			return nil, fmt.Errorf("%s: line break in the value", v[0])
		}
		fmt.Fprintf(&out, "%s=%s\n", v[0], v[1])
	}
	return out.Bytes(), nil
}

func (n StaticNetwork) macLines() ([]byte, error) {
	var out bytes.Buffer
	for _, mac := range slices.Sorted(maps.Keys(n.MACs)) {
		if _, err := net.ParseMAC(mac); err != nil {
			return nil, err
		}
		if strings.ContainsAny(n.MACs[mac], "\r\n") {
			return nil, fmt.Errorf("interface of %s: line break in the name", mac)
		}
		fmt.Fprintf(&out, "%s=%s\n", strings.ToLower(mac), n.MACs[mac])
	}
	return out.Bytes(), nil
}

var errForeign = errors.New("the image boots, but it is no discovery image")

// discovery reads back what Discovery.Ignition made.
func (i ignition) discovery() (Discovery, error) {
	if err := i.check(); err != nil {
		return Discovery{}, err
	}
	env, ok, err := i.read(agentEnv)
	if err != nil {
		return Discovery{}, err
	}
	if !ok {
		return Discovery{}, fmt.Errorf("%w: %s is missing", errForeign, agentEnv)
	}
	values := settings(env)
	d := Discovery{
		ServiceURL: values["SERVICE_BASE_URL"], InfraEnvID: values["INFRA_ENV_ID"],
		AgentToken: values["PULL_SECRET_TOKEN"], SSHKeys: i.keys(),
	}
	if d.ServiceURL == "" || d.InfraEnvID == "" {
		return Discovery{}, fmt.Errorf("%w: %s names no service or infra env", errForeign, agentEnv)
	}
	d.Networks, err = i.networks()
	return d, err
}

func (i ignition) networks() (list []StaticNetwork, err error) {
	for n := 0; ; n++ {
		dir := fmt.Sprintf("%shost%d/", networkDir, n)
		state, ok, err := i.read(dir + nmstateFile)
		if err != nil || !ok {
			return list, err
		}
		macs, _, err := i.read(dir + macFile)
		if err != nil {
			return nil, err
		}
		list = append(list, StaticNetwork{NMState: string(state), MACs: settings(macs)})
	}
}

// settings reads key=value lines.
func settings(data []byte) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "="); ok {
			values[key] = value
		}
	}
	return values
}
