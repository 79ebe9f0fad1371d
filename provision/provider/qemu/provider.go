package qemu

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// place is where all machines are.
const place = "localhost"

// Options is what a provider needs beside its block.
type Options struct {
	Lookup func(variable string) (value string, ok bool) // os.LookupEnv
	Exe    string                                        // the program started as supervisor; "": this one
}

// Provider makes machines on this host. It is safe for concurrent use.
type Provider struct {
	cfg      Config
	dir      string
	exe      string
	env      []string                           // of supervisors
	accel    func() (qemu.Accel, string, error) // which, and why not KVM
	firmware func() (code, template string, err error)
	starting sync.Mutex // one start of a supervisor at a time

	// made is called when a machine stands on disk and before its disks are
	// there; tests end the run here.
	made func() error
}

var (
	_ provider.Allocator     = (*Provider)(nil)
	_ provider.Powerer       = (*Provider)(nil)
	_ provider.MediaInserter = (*Provider)(nil)
	_ provider.ImageStore    = (*Provider)(nil)
	_ provider.Repairer      = (*Provider)(nil)
	_ provider.Consoler      = (*Provider)(nil)
)

// Open returns the provider of a block. Nothing is made or started.
func Open(cfg Config, o Options) (*Provider, error) {
	dir, err := directory(cfg, o)
	if err != nil {
		return nil, err
	}
	p := &Provider{cfg: cfg, dir: dir, exe: o.Exe, env: environment(), made: func() error { return nil },
		firmware: func() (string, string, error) { return qemu.FindUEFI() }}
	if p.exe == "" {
		if p.exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("program to supervise machines with: %w", err)
		}
	}
	p.accel = choose(cfg.Accel)
	return p, nil
}

// directory is that of the block, or the user's: they are data, not state,
// and large (XDG Base Directory Specification).
func directory(cfg Config, o Options) (string, error) {
	if cfg.Dir != "" {
		return filepath.Abs(cfg.Dir)
	}
	if data, ok := o.Lookup("XDG_DATA_HOME"); ok && filepath.IsAbs(data) {
		return filepath.Join(data, "slipway", "qemu"), nil
	}
	home, ok := o.Lookup("HOME")
	if !ok || home == "" {
		return "", errors.New("neither HOME nor XDG_DATA_HOME is set, and the block has no dir")
	}
	return filepath.Join(home, ".local", "share", "slipway", "qemu"), nil
}

// Caps says that machines are created and boot from images.
func (p *Provider) Caps() provider.Caps { return provider.Caps{Creates: true, Media: true} }

func (p *Provider) machines() string             { return filepath.Join(p.dir, "machines") }
func (p *Provider) machineDir(id string) string  { return filepath.Join(p.machines(), id) }
func (p *Provider) images() string               { return filepath.Join(p.dir, "images") }
func (p *Provider) image(ref string) string      { return filepath.Join(p.images(), ref) }
func (p *Provider) runDir(cluster string) string { return runDir(p.dir, cluster) }

// runDir is that of a cluster's supervisor. The path of a socket may be no
// longer than 107 bytes, which full names can be: it is named after a hash.
func runDir(dir, cluster string) string {
	sum := sha256.Sum256([]byte(cluster))
	return filepath.Join(dir, "run", hex.EncodeToString(sum[:4]))
}
