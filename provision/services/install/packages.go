package install

import (
	"context"
	"fmt"
	"regexp"
)

// haproxy installs the package with the host's own means, unless the program
// is there, and keeps the distribution's own service from starting: ours runs
// haproxy itself.
func (i *installation) haproxy(ctx context.Context) error {
	if i.host.has("haproxy") {
		return nil
	}
	f, err := i.host.family()
	if err != nil {
		return err
	}
	i.manifest.Masked = true
	if f == redhat {
		i.manifest.Packages = []string{"haproxy"}
	}
	if err := i.note(); err != nil {
		return err
	}
	if _, err := i.host.run(ctx, "systemctl", "mask", "haproxy.service"); err != nil {
		return err
	}
	if f == redhat {
		_, err = i.host.run(ctx, "dnf", "install", "--assumeyes", "--setopt=install_weak_deps=False", "haproxy")
		return err
	}
	return i.apt(ctx)
}

var newPackage = regexp.MustCompile(`(?m)^Inst (\S+)`)

// apt notes every package that comes along, for they are ours to remove.
func (i *installation) apt(ctx context.Context) error {
	if _, err := i.host.run(ctx, "apt-get", "update", "-q"); err != nil {
		return err
	}
	plan, err := i.host.run(ctx, "apt-get", "install", "--simulate", "--no-install-recommends", "haproxy")
	if err != nil {
		return err
	}
	for _, m := range newPackage.FindAllStringSubmatch(plan, -1) {
		i.manifest.Packages = append(i.manifest.Packages, m[1])
	}
	if err := i.note(); err != nil {
		return err
	}
	_, err = i.host.run(ctx, "apt-get", "install", "-q", "--yes", "--no-install-recommends", "haproxy")
	return err
}

// removePackages removes what haproxy brought, and lets the distribution's
// service be started again by whoever installs it.
func (i *installation) removePackages(ctx context.Context) error {
	if len(i.manifest.Packages) > 0 {
		f, err := i.host.family()
		if err != nil {
			return err
		}
		remove := map[family][]string{debian: {"apt-get", "purge", "-q", "--yes"}, redhat: {"dnf", "remove", "--assumeyes"}}[f]
		if _, err := i.host.run(ctx, remove[0], append(remove[1:], i.manifest.Packages...)...); err != nil {
			return fmt.Errorf("remove packages: %w", err)
		}
	}
	if !i.manifest.Masked {
		return nil
	}
	_, err := i.host.run(ctx, "systemctl", "unmask", "haproxy.service")
	return err
}

// selinux lets haproxy, which systemd starts confined, bind and reach the
// ports of a cluster. Where SELinux does not enforce there is nothing to do.
func (i *installation) selinux(ctx context.Context) error {
	if !i.host.has("getenforce") {
		return nil
	}
	mode, err := i.host.run(ctx, "getenforce")
	if err != nil || firstWord(mode) != "Enforcing" {
		return err
	}
	if _, err := i.host.run(ctx, "restorecon", "-R", programs, configs, i.layout.unitFile()); err != nil {
		return err
	}
	state, err := i.host.run(ctx, "getsebool", boolean)
	if err != nil || regexp.MustCompile(`--> on\b`).MatchString(state) {
		return err
	}
	i.manifest.Boolean = true
	if err := i.note(); err != nil {
		return err
	}
	_, err = i.host.run(ctx, "setsebool", "-P", boolean, "on")
	return err
}

// boolean is described in haproxy_selinux(8).
const boolean = "haproxy_connect_any"

func (i *installation) resetBoolean(ctx context.Context) error {
	if !i.manifest.Boolean {
		return nil
	}
	_, err := i.host.run(ctx, "setsebool", "-P", boolean, "off")
	return err
}

func firstWord(s string) string { return regexp.MustCompile(`\S*`).FindString(s) }
