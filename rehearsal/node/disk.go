package node

import (
	"crypto/ed25519"
	"sync"
)

// A Disk outlives the host that writes it: an installed system is found there
// at the next boot. The zero Disk is blank. It is safe for concurrent use.
type Disk struct {
	mu        sync.Mutex
	installed *System
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
func (d *Disk) Install(s System) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.installed = &s
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
func (d *Disk) wipe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.installed = nil
}

// keep changes what the installed system keeps on the disk.
func (d *Disk) keep(change func(*System)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.installed != nil {
		change(d.installed)
	}
}
