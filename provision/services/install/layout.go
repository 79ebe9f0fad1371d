package install

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
)

// A Layout is where the parts of one cluster's service lie. Paths are named
// after a hash: full names of clusters can be longer than a socket's path may
// be.
type Layout struct{ id string }

// LayoutOf returns the layout for the cluster with that full name.
func LayoutOf(owner string) Layout {
	sum := sha256.Sum256([]byte(owner))
	return Layout{hex.EncodeToString(sum[:4])}
}

// Unit is the name of the systemd unit.
func (l Layout) Unit() string { return "slipway-serve-" + l.id + ".service" }

// Program is in a directory whose files SELinux lets services execute.
func (l Layout) Program() string { return filepath.Join(programs, l.id, "slipway") }

// Document is the services document that the unit follows.
func (l Layout) Document() string { return filepath.Join(configs, l.id, "services.json") }

// RunDir holds sockets; systemd makes and removes it.
func (l Layout) RunDir() string { return "/run/slipway-" + l.id }

func (l Layout) manifest() string { return filepath.Join(configs, l.id, "manifest.json") }
func (l Layout) unitFile() string { return filepath.Join(units, l.Unit()) }

const (
	programs = "/usr/local/libexec/slipway"
	configs  = "/etc/slipway"
	units    = "/etc/systemd/system"
)
