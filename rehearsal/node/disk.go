package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"sync"
)

// A Disk outlives the host that writes it: an installed system is found there
// at the next boot. The zero Disk is blank and in memory. It is safe for
// concurrent use.
type Disk struct {
	mu        sync.Mutex
	installed *System
	medium    Medium // nil: memory
}

// A Medium is a real disk.
type Medium interface {
	// Image writes the image that the disk boots from then on.
	Image(ctx context.Context) error
	// Save keeps what the installed system is, so that a power cut does not
	// lose it. Without data the disk is blank: nothing boots from it.
	Save(data []byte) error
}

// OpenDisk returns the Disk on a medium, of which data is what was saved last,
// empty for a blank one.
func OpenDisk(medium Medium, data []byte) (*Disk, error) {
	d := &Disk{medium: medium}
	if len(data) == 0 {
		return d, nil
	}
	var s savedSystem
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("installed system: %w", err)
	}
	d.installed = s.system()
	return d, nil
}

// A System is an operating system installed on a Disk.
type System struct {
	Ignition []byte // configuration it was installed with
	Static   []StaticNetwork
	Service  Reporter // where its installation is reported to

	// What the system itself keeps on its disk.
	hostKey   ed25519.PrivateKey // made at the first boot
	machineID string
	config    *machineConfig // fetched at the first boot
	client    *credential    // the kubelet's, once its request was granted
	static    bool           // static pods of the control plane are in place
}

// A Reporter is what a host knows of the installer service.
type Reporter struct {
	URL        string `json:"url"`
	Token      string `json:"token,omitempty"` // X-Secret-Key
	InfraEnvID string `json:"infra_env_id"`
}

// Install writes a system.
func (d *Disk) Install(ctx context.Context, s System) error {
	if d.medium != nil {
		if err := d.medium.Image(ctx); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.installed = &s
	return d.save()
}

// System returns what is installed, nil on a blank disk. The result is the
// caller's.
func (d *Disk) System() *System {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.installed == nil {
		return nil
	}
	s := *d.installed
	return &s
}

// wipe makes the disk blank, as the first blocks of a new image do.
func (d *Disk) wipe() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.installed = nil
	return d.save()
}

// keep changes what the installed system keeps on the disk.
func (d *Disk) keep(change func(*System)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.installed == nil {
		return nil
	}
	change(d.installed)
	return d.save()
}

func (d *Disk) save() error {
	if d.medium == nil {
		return nil
	}
	var data []byte
	if d.installed != nil {
		data = raw(save(d.installed))
	}
	if err := d.medium.Save(data); err != nil {
		return fmt.Errorf("write to the disk: %w", err)
	}
	return nil
}

// A savedSystem is a System as it is written to a real disk.
type savedSystem struct {
	Ignition  []byte           `json:"ignition"`
	Static    []StaticNetwork  `json:"static,omitempty"`
	Service   Reporter         `json:"service"`
	HostKey   []byte           `json:"host_key,omitempty"`
	MachineID string           `json:"machine_id,omitempty"`
	Config    *savedConfig     `json:"config,omitempty"`
	Client    *savedCredential `json:"client,omitempty"`
	Pods      bool             `json:"static_pods,omitempty"`
}

type savedConfig struct {
	Server string   `json:"server"`
	CA     []byte   `json:"ca"`
	Token  string   `json:"token"`
	Keys   []string `json:"keys"`
}

type savedCredential struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

func save(s *System) savedSystem {
	saved := savedSystem{Ignition: s.Ignition, Static: s.Static, Service: s.Service, HostKey: s.hostKey, MachineID: s.machineID, Pods: s.static}
	if c := s.config; c != nil {
		saved.Config = &savedConfig{c.bootstrap.server, c.bootstrap.ca, c.bootstrap.token, c.keys}
	}
	if c := s.client; c != nil {
		saved.Client = &savedCredential{c.cert, c.key}
	}
	return saved
}

func (s savedSystem) system() *System {
	system := &System{Ignition: s.Ignition, Static: s.Static, Service: s.Service, hostKey: s.HostKey, machineID: s.MachineID, static: s.Pods}
	if c := s.Config; c != nil {
		system.config = &machineConfig{kubeconfig{server: c.Server, ca: c.CA, token: c.Token}, c.Keys}
	}
	if c := s.Client; c != nil {
		system.client = &credential{c.Cert, c.Key}
	}
	return system
}
