package node

import "sync"

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
}

// Install writes a system.
func (d *Disk) Install(s System) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.installed = &s
}

// System returns what is installed, nil on a blank disk.
func (d *Disk) System() *System {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.installed
}
