// Package assistedtest has a scripted discovery agent for tests of what
// speaks to the assisted service or to its simulator. It answers every step
// as a fit host would, at once, whenever it is told to poll.
package assistedtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// An Agent is the live system of one host, then its installed system.
type Agent struct {
	URL      string // of the service
	InfraEnv string
	ID       string
	Key      string // X-Secret-Key, "" without authentication
	Hostname string // of the live system
	MAC      string
	Address  string // 192.0.2.201/24
	CPUs     int
	Memory   int // MiB
	Disk     int // GB
	// Resolve answers DNS questions; nil resolves all but the wildcard probe.
	Resolve func(name string) []string
	// Clock is the host's; nil is the machine's.
	Clock func() time.Time
	// Sync is the measured fdatasync time in milliseconds.
	Sync int

	Rebooted bool // the installation has been written
}

// A Refusal is an answer that is no success.
type Refusal struct {
	Status int
	Body   string
}

// Error is status and body.
func (r *Refusal) Error() string { return fmt.Sprintf("status %d: %s", r.Status, r.Body) }

// Register tells the service that the live system has booted.
func (a *Agent) Register(ctx context.Context) error {
	return a.call(ctx, "POST", "/infra-envs/"+a.InfraEnv+"/hosts",
		map[string]string{"host_id": a.ID, "discovery_agent_version": "quay.io/edge-infrastructure/assisted-installer-agent:latest"}, nil)
}

// A Step is one instruction.
type Step struct {
	Type string   `json:"step_type"`
	ID   string   `json:"step_id"`
	Args []string `json:"args"`
}

// Instructions asks for the next steps.
func (a *Agent) Instructions(ctx context.Context) ([]Step, error) {
	clock := a.Clock
	if clock == nil {
		clock = time.Now
	}
	var next struct {
		Instructions []Step `json:"instructions"`
	}
	err := a.call(ctx, "GET", fmt.Sprintf("%s/instructions?timestamp=%d", a.path(), clock().Unix()), nil, &next)
	return next.Instructions, err
}

// Poll does one round: it asks for instructions and carries them out. An
// installation is carried out up to the reboot.
func (a *Agent) Poll(ctx context.Context) error {
	steps, err := a.Instructions(ctx)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := a.perform(ctx, s); err != nil {
			return fmt.Errorf("step %s: %w", s.Type, err)
		}
	}
	return nil
}

func (a *Agent) perform(ctx context.Context, s Step) error {
	var output any
	switch s.Type {
	case "inventory":
		output = a.inventory()
	case "ntp-synchronizer":
		output = map[string]any{"ntp_sources": []any{map[string]string{"source_name": "192.0.2.210", "source_state": "synced"}}}
	case "domain-resolution":
		return a.answer(ctx, s, a.resolve(s))
	case "installation-disk-speed-check":
		output = map[string]any{"path": "/dev/sda", "io_sync_duration": a.Sync}
	case "container-image-availability":
		return a.answer(ctx, s, images(s))
	case "install":
		return a.install(ctx, s)
	default:
		return nil
	}
	return a.answer(ctx, s, output)
}

func (a *Agent) answer(ctx context.Context, s Step, output any) error {
	text, err := json.Marshal(output)
	if err != nil {
		return err
	}
	return a.call(ctx, "POST", a.path()+"/instructions", map[string]any{
		"step_type": s.Type, "step_id": s.ID, "exit_code": 0, "output": string(text), "error": "",
	}, nil)
}

func (a *Agent) resolve(s Step) any {
	var asked struct {
		Domains []struct {
			Name string `json:"domain_name"`
		} `json:"domains"`
	}
	if len(s.Args) != 1 || json.Unmarshal([]byte(s.Args[0]), &asked) != nil {
		return nil
	}
	found := []any{}
	for _, d := range asked.Domains {
		found = append(found, map[string]any{
			"domain_name": d.Name, "ipv4_addresses": a.lookup(d.Name), "ipv6_addresses": []string{}, "cnames": []string{},
		})
	}
	return map[string]any{"resolutions": found}
}

func (a *Agent) lookup(name string) []string {
	if a.Resolve != nil {
		return a.Resolve(name)
	}
	if strings.HasPrefix(name, "validateNoWildcardDNS.") {
		return []string{}
	}
	return []string{"192.0.2.210"}
}

func images(s Step) any {
	var asked struct {
		Images []string `json:"images"`
	}
	if len(s.Args) != 1 || json.Unmarshal([]byte(s.Args[0]), &asked) != nil {
		return nil
	}
	pulled := []any{}
	for _, name := range asked.Images {
		pulled = append(pulled, map[string]any{"name": name, "result": "success"})
	}
	return map[string]any{"images": pulled}
}

func (a *Agent) install(ctx context.Context, s Step) error {
	var order struct {
		Role string `json:"role"`
	}
	if len(s.Args) != 1 {
		return fmt.Errorf("install has %d arguments", len(s.Args))
	}
	if err := json.Unmarshal([]byte(s.Args[0]), &order); err != nil {
		return err
	}
	stages := map[string][]string{
		"master":    {"Copying registry data to disk"},
		"bootstrap": {"Copying registry data to disk", "Waiting for control plane", "Waiting for bootkube", "Waiting for controller"},
		"worker":    {"Waiting for control plane"},
	}[order.Role]
	stages = append([]string{"Starting installation", "Installing", "Writing image to disk"}, stages...)
	for _, stage := range append(stages, "Rebooting") {
		if err := a.Report(ctx, stage, ""); err != nil {
			return err
		}
	}
	a.Rebooted = true
	return nil
}

// Report tells the service a stage of the installation.
func (a *Agent) Report(ctx context.Context, stage, info string) error {
	return a.call(ctx, "PUT", a.path()+"/progress", map[string]string{"current_stage": stage, "progress_info": info}, nil)
}

// Join reports the stages of a host that has booted its disk.
func (a *Agent) Join(ctx context.Context) error {
	for _, stage := range []string{"Configuring", "Joined", "Done"} {
		if err := a.Report(ctx, stage, ""); err != nil {
			return err
		}
	}
	return nil
}

// Available reports an operator of the new cluster as its controller does.
func (a *Agent) Available(ctx context.Context, clusterID, operator string) error {
	return a.call(ctx, "PUT", "/clusters/"+clusterID+"/monitored-operators",
		map[string]string{"name": operator, "version": "4.20", "status": "available", "status_info": ""}, nil)
}

// Ignition fetches what the host would be installed with.
func (a *Agent) Ignition(ctx context.Context) (json.RawMessage, error) {
	var file json.RawMessage
	err := a.call(ctx, "GET", "/infra-env/"+a.InfraEnv+"/hosts/"+a.ID+"/downloads/ignition", nil, &file)
	return file, err
}

func (a *Agent) inventory() any {
	return map[string]any{
		"hostname": a.Hostname,
		"interfaces": []any{map[string]any{
			"name": "enp6s18", "mac_address": a.MAC, "mtu": 1500, "has_carrier": true, "type": "physical",
			"ipv4_addresses": []string{a.Address}, "ipv6_addresses": []string{}, "flags": []string{"up"}, "speed_mbps": 1000,
		}},
		"disks": []any{
			map[string]any{"name": "sda", "path": "/dev/sda", "by_id": "/dev/disk/by-id/scsi-0QEMU_" + a.ID[:8], "drive_type": "HDD", "size_bytes": int64(a.Disk) * 1e9},
			map[string]any{"name": "sr0", "path": "/dev/sr0", "drive_type": "ODD", "size_bytes": 1 << 27, "removable": true, "is_installation_media": true},
		},
		"boot":          map[string]any{"current_boot_mode": "bios"},
		"system_vendor": map[string]any{"manufacturer": "QEMU", "product_name": "Standard PC", "serial_number": "", "virtual": true},
		"memory":        map[string]any{"physical_bytes": int64(a.Memory) << 20, "usable_bytes": int64(a.Memory-100) << 20, "physical_bytes_method": "dmidecode"},
		"cpu":           map[string]any{"count": a.CPUs, "architecture": "x86_64", "frequency": 2400.0, "model_name": "QEMU", "flags": []string{"vmx"}},
		"routes":        []any{map[string]any{"interface": "enp6s18", "gateway": "192.0.2.1", "destination": "0.0.0.0", "family": 2}},
	}
}

func (a *Agent) path() string { return "/infra-envs/" + a.InfraEnv + "/hosts/" + a.ID }

func (a *Agent) call(ctx context.Context, method, path string, body, out any) error {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.URL+"/api/assisted-install/v2"+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if a.Key != "" {
		req.Header.Set("X-Secret-Key", a.Key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return &Refusal{resp.StatusCode, string(answer)}
	case out != nil:
		return json.Unmarshal(answer, out)
	}
	return nil
}
