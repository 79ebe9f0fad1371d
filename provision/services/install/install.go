package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision/services"
)

// Options say what is installed.
type Options struct {
	Owner      string            // full name of the cluster
	Program    string            // path of the slipway to install
	Document   services.Document // served from the first moment on
	NoFirewall bool              // leave the firewall alone
}

// A manifest is what an installation changed beyond its own files. It is
// written before each change.
type manifest struct {
	Owner     string     `json:"owner"`
	Packages  []string   `json:"packages,omitempty"`
	Masked    bool       `json:"masked,omitempty"`  // haproxy.service of the distribution
	Boolean   bool       `json:"boolean,omitempty"` // of SELinux
	Firewalld []string   `json:"firewalld,omitempty"`
	UFW       [][]string `json:"ufw,omitempty"`
	Stale     bool       `json:"stale,omitempty"` // the running service is older than its files
}

type installation struct {
	host     Host
	layout   Layout
	manifest manifest
}

// ErrNotRoot is returned by Install and Uninstall for other users.
var ErrNotRoot = errors.New("only root may change services of this host")

func (h Host) open(owner string) (*installation, error) {
	if h.Root == "" && os.Geteuid() != 0 {
		return nil, hint.With(ErrNotRoot, "run it with sudo")
	}
	i := &installation{host: h, layout: LayoutOf(owner), manifest: manifest{Owner: owner}}
	text, err := os.ReadFile(h.path(i.layout.manifest()))
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &i.manifest)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", owner, err)
	}
	return i, nil
}

// note writes the manifest.
func (i *installation) note() error {
	text, err := json.MarshalIndent(i.manifest, "", "  ")
	if err != nil {
		return err
	}
	return i.write(i.layout.manifest(), append(text, '\n'), 0o644)
}

func (i *installation) write(path string, data []byte, mode fs.FileMode) error {
	path = i.host.path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, data, mode)
}

// Install makes the service, or brings an older one up to date, and starts it.
// It may be repeated; what is so already is left alone.
func (h Host) Install(ctx context.Context, o Options) error {
	i, err := h.open(o.Owner)
	if err != nil {
		return err
	}
	if err := i.install(ctx, o); err != nil {
		return fmt.Errorf("install the services of %s: %w", o.Owner, err)
	}
	return nil
}

func (i *installation) install(ctx context.Context, o Options) error {
	if !i.host.has("systemctl") {
		return hint.With(errors.New("this host has no systemd"), "run `slipway serve` as your init system does services")
	}
	if err := i.note(); err != nil {
		return err
	}
	if o.Document.Balancer.Mode != loadbalancer.ModeEmbedded {
		if err := i.haproxy(ctx); err != nil {
			return err
		}
	}
	if err := i.files(o); err != nil {
		return err
	}
	if err := i.selinux(ctx); err != nil {
		return err
	}
	if !o.NoFirewall {
		if err := i.firewall(ctx, o.Document); err != nil {
			return err
		}
	}
	if err := i.note(); err != nil {
		return err
	}
	return i.start(ctx)
}

// files puts the program, the unit and the document in place. The document is
// followed without a restart.
func (i *installation) files(o Options) error {
	program, err := os.ReadFile(o.Program)
	if err != nil {
		return err
	}
	text, err := unit(o.Owner)
	if err != nil {
		return err
	}
	document, err := json.MarshalIndent(o.Document, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		i.replace(i.layout.Program(), program, 0o755),
		i.replace(i.layout.unitFile(), []byte(text), 0o644),
		i.write(i.layout.Document(), append(document, '\n'), 0o644))
}

// replace writes a file that needs a restart, unless it is so already.
func (i *installation) replace(path string, data []byte, mode fs.FileMode) error {
	if old, err := os.ReadFile(i.host.path(path)); err == nil && bytes.Equal(old, data) {
		return nil
	}
	i.manifest.Stale = true
	if err := i.note(); err != nil {
		return err
	}
	return i.write(path, data, mode)
}

func (i *installation) start(ctx context.Context) error {
	verb := "start"
	if i.manifest.Stale {
		verb = "restart"
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "--quiet", i.layout.Unit()}, {verb, i.layout.Unit()}} {
		if _, err := i.host.run(ctx, "systemctl", args...); err != nil {
			return hint.With(err, "journalctl --unit "+i.layout.Unit()+" says why")
		}
	}
	i.manifest.Stale = false
	return i.note()
}

// Uninstall stops the service and takes back all that Install changed. A
// service that is not there is no error. What another cluster's service needs
// too becomes that one's to remove.
func (h Host) Uninstall(ctx context.Context, owner string) error {
	i, err := h.open(owner)
	if err == nil {
		err = i.uninstall(ctx)
	}
	if err != nil {
		return fmt.Errorf("remove the services of %s: %w", owner, err)
	}
	return nil
}

func (i *installation) uninstall(ctx context.Context) error {
	if _, err := os.Stat(i.host.path(i.layout.unitFile())); err == nil {
		if _, err := i.host.run(ctx, "systemctl", "disable", "--now", "--quiet", i.layout.Unit()); err != nil {
			return err
		}
	}
	if err := i.bequeath(); err != nil {
		return err
	}
	if err := errors.Join(i.closeFirewall(ctx), i.resetBoolean(ctx), i.removePackages(ctx)); err != nil {
		return err
	}
	return i.removeFiles(ctx)
}

// removeFiles removes the manifest last: until then the removal can be
// repeated.
func (i *installation) removeFiles(ctx context.Context) error {
	l := i.layout
	_, err := os.Stat(i.host.path(l.unitFile()))
	had := err == nil
	for _, path := range []string{l.unitFile(), filepath.Dir(l.Program()), l.RunDir(), filepath.Dir(l.manifest())} {
		if err := os.RemoveAll(i.host.path(path)); err != nil {
			return err
		}
	}
	for _, dir := range []string{programs, configs} {
		_ = os.Remove(i.host.path(dir)) // when it was the last
	}
	if !had {
		return nil
	}
	_, err = i.host.run(ctx, "systemctl", "daemon-reload")
	return err
}

// bequeath hands what other services on this host need to the first of them.
func (i *installation) bequeath() error {
	heir, err := i.heir()
	if err != nil || heir == nil {
		return err
	}
	mine := &i.manifest
	heir.manifest.Packages = append(heir.manifest.Packages, mine.Packages...)
	heir.manifest.Masked = heir.manifest.Masked || mine.Masked
	heir.manifest.Boolean = heir.manifest.Boolean || mine.Boolean
	heir.manifest.Firewalld = append(heir.manifest.Firewalld, mine.Firewalld...)
	if err := heir.note(); err != nil {
		return err
	}
	mine.Packages, mine.Masked, mine.Boolean, mine.Firewalld = nil, false, false, nil
	return i.note()
}

// heir is another installation on this host, nil when there is none.
func (i *installation) heir() (*installation, error) {
	paths, err := filepath.Glob(i.host.path(filepath.Join(configs, "*", "manifest.json")))
	if err != nil {
		return nil, err
	}
	own := i.host.path(i.layout.manifest())
	n := slices.IndexFunc(paths, func(p string) bool { return p != own })
	if n < 0 {
		return nil, nil
	}
	text, err := os.ReadFile(paths[n])
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", paths[n], err)
	}
	return i.host.open(m.Owner)
}
