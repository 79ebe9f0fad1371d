package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/installer/assisted"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	provider "github.com/slipway-project/slipway/provision/provider/qemu"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/rehearsal"
	"github.com/slipway-project/slipway/rehearsal/guest"
)

// A datacentre is the simulated world that specs are rehearsed against, and
// the inputs of slipway that are replaced for it.
type datacentre struct {
	config   rehearsal.Config
	secrets  map[string]string // by name: what stands in for the user's
	blocks   strings.Builder   // of the override file
	tokens   map[string]string // provider label to endpoint URL
	replaced []string          // told before anything begins
	uefi     bool              // machines of some spec boot by it
	machines machineFlags
	laptop   laptop
}

// fakePullSecret parses as one and opens nothing.
const fakePullSecret = `{"auths":{"registry.invalid":{"auth":"cmVoZWFyc2FsOnJlaGVhcnNhbA=="}}}`

// newDatacentre reads from the specs what must be there: hypervisors,
// installers, networks and services addresses.
func newDatacentre(a *app, dir string, o rehearseFlags, specs []reading) (*datacentre, error) {
	d := &datacentre{secrets: map[string]string{}, tokens: map[string]string{}, machines: o.machines,
		laptop: laptop{map[string]provider.Config{}, map[uuid.UUID]guest.Spec{}, nil},
		config: rehearsal.Config{Dir: dir, Speed: pace.Pace(o.speed), Env: map[string]string{"SLIPWAY_OVERRIDE": filepath.Join(dir, "override.hcl")}}}
	for _, r := range specs {
		for _, name := range r.Secrets {
			d.secrets[name] = fakePullSecret
			d.replace("secret "+name, "a value that opens nothing; yours is not read")
		}
		if err := d.addVariables(r.Variables); err != nil {
			return nil, err
		}
		for _, c := range r.Clusters {
			if err := d.addCluster(a, r, c); err != nil {
				return nil, err
			}
		}
	}
	if len(o.faults) > 0 && len(d.config.Hypervisors) == 0 {
		return nil, usage(hint.With(errors.New("no hypervisor is simulated for --fault to strike"), "leave --fault out, or rehearse a spec of provider \"proxmox\""))
	}
	d.settleLaptop()
	d.replace("state directory", filepath.Join(dir, "home"))
	return d, nil
}

// addVariables gives variables inside the values that they have here, by the
// environment, and sensitive ones a value that opens nothing.
func (d *datacentre) addVariables(variables []spec.Variable) error {
	for _, v := range variables {
		name, value := spec.VariablePrefix+v.Name, v.Text
		switch {
		case v.Sensitive:
			value = fakePullSecret
			d.replace("variable "+v.Name, "a value that opens nothing; yours is not read")
		case !v.Given:
			continue
		}
		if other, taken := d.config.Env[name]; taken && other != value {
			return usage(fmt.Errorf("variable %q has one value in one spec and another in the other: no rehearsal has both", v.Name))
		}
		d.config.Env[name] = value
	}
	return nil
}

func (d *datacentre) replace(what, by string) {
	d.replaced = append(d.replaced, fmt.Sprintf("  %-38s %s", what, by))
}

func (d *datacentre) addCluster(a *app, r reading, c spec.Cluster) (err error) {
	switch c.Provider.Type {
	case "proxmox":
		err = d.addProxmox(a, r, c)
	case "qemu":
		err = d.addLaptop(a, r, c)
	default:
		err = usage(hint.With(fmt.Errorf("%s: provider %q is not simulated", c.FullName(), c.Provider.Type),
			"rehearse the spec with a provider \"proxmox\"; `slipway doctor` says what would fail with this one"))
	}
	if err != nil {
		return err
	}
	engine, diags := assisted.Decode(c.Installer.Body, c.Installer.Context, noEnvironment)
	if err := a.diagnose(r, diags); err != nil {
		return err
	}
	d.addInstaller(c, engine)
	d.addServicesHosts(c)
	if c.PullSecret.Set() { // a sensitive variable is no secret block
		name := "rehearsal_pull_" + c.Name
		d.secrets[name] = fakePullSecret
		fmt.Fprintf(&d.blocks, "cluster %q {\n  pull_secret = secret.%s\n}\n", c.Name, name)
		d.replace("pull secret of "+c.Name, "one that opens nothing; yours is not read")
	}
	return nil
}

// addProxmox notes the hypervisor of a cluster, and the networks that its
// machines and this host are in.
func (d *datacentre) addProxmox(a *app, r reading, c spec.Cluster) error {
	hypervisor, diags := proxmox.Decode(c.Provider.Body, c.Provider.Context)
	if err := a.diagnose(r, diags); err != nil {
		return err
	}
	d.addHypervisor(c, hypervisor)
	d.uefi = d.uefi || hypervisor.Hardware.UEFI
	d.addNetwork(c.Network)
	for _, n := range c.Nodes {
		network := d.addNetwork(n.Network)
		if !n.DHCP() {
			network.Static = append(network.Static, n.Address)
		}
	}
	d.config.Services = append(d.config.Services, c.Services.Address)
	d.replace("this host", "a network namespace that has "+c.Services.Address.String())
	return nil
}

// addNetwork returns the network of the world that n is, a new one for the
// first of several specs that have it.
func (d *datacentre) addNetwork(n spec.Network) *rehearsal.NetworkConfig {
	for i := range d.config.Networks {
		known := &d.config.Networks[i]
		if known.CIDR == n.CIDR.Masked() && known.Bridge == n.Bridge && known.VLAN == n.VLAN {
			known.Gateway, known.MTU = cmp.Or(known.Gateway, n.Gateway), max(known.MTU, n.MTU)
			return known
		}
	}
	d.config.Networks = append(d.config.Networks, rehearsal.NetworkConfig{CIDR: n.CIDR.Masked(), Gateway: n.Gateway, Bridge: n.Bridge, VLAN: n.VLAN, MTU: n.MTU})
	return &d.config.Networks[len(d.config.Networks)-1]
}

// noEnvironment keeps the user's environment out of the rehearsal.
func noEnvironment(string) (string, bool) { return "", false }

func (d *datacentre) addHypervisor(c spec.Cluster, wanted proxmox.Config) {
	url := wanted.Endpoint.String()
	d.tokens[c.Provider.Label] = url
	i := slices.IndexFunc(d.config.Hypervisors, func(h rehearsal.HypervisorConfig) bool { return h.URL == url })
	if i < 0 {
		i = len(d.config.Hypervisors)
		d.config.Hypervisors = append(d.config.Hypervisors, rehearsal.HypervisorConfig{URL: url, Nodes: wanted.Nodes,
			DiskStorage: wanted.Storage.Disk, ISOStorage: wanted.Storage.ISO, Pool: wanted.Pool})
		d.replace("Proxmox VE "+url, "a simulated API; its certificate and token are trusted")
	}
	for _, n := range c.Nodes {
		d.config.Hypervisors[i].Room += int64(n.Memory) << 20
	}
}

func (d *datacentre) addInstaller(c spec.Cluster, engine assisted.Config) {
	wanted := rehearsal.InstallerConfig{URL: engine.Endpoint.String(), Releases: versionsOf(c.Release)}
	if engine.Token.Set() {
		name := "rehearsal_installer_" + c.Name
		wanted.Token = "rehearsal-token"
		d.secrets[name] = wanted.Token
		fmt.Fprintf(&d.blocks, "cluster %q {\n  installer %q {\n    token = secret.%s\n  }\n}\n", c.Name, c.Installer.Type, name)
	}
	for i, known := range d.config.Installers {
		if known.URL == wanted.URL {
			d.config.Installers[i].Releases = append(known.Releases, wanted.Releases...)
			return
		}
	}
	d.config.Installers = append(d.config.Installers, wanted)
	d.replace("assisted service "+wanted.URL, "a simulated service; its agents are simulated hosts")
}

// versionsOf is the version that a service which has the release would offer.
func versionsOf(release string) []string {
	product, version, _ := strings.Cut(release, "-")
	if strings.Count(version, ".") == 1 {
		version += ".0"
	}
	if product == "okd" {
		version += "-okd-scos.0"
	}
	return []string{version}
}

// write puts down the override file, and the secrets it names, once the world
// has said which tokens it takes.
func (d *datacentre) write(ready rehearsal.Ready) error {
	for label, url := range d.tokens {
		name := "rehearsal_provider_" + label
		token, err := os.ReadFile(ready.Endpoints[url].TokenFile)
		if err != nil {
			return err
		}
		d.secrets[name] = string(token)
		fmt.Fprintf(&d.blocks, "provider \"proxmox\" %q {\n  token       = secret.%s\n  fingerprint = %q\n}\n",
			label, name, ready.Endpoints[url].Fingerprint)
	}
	if err := d.writeSecrets(); err != nil {
		return err
	}
	return atomicfile.Write(d.config.Env["SLIPWAY_OVERRIDE"], []byte(d.blocks.String()), 0o600)
}

func (d *datacentre) writeSecrets() error {
	dir := filepath.Join(d.config.Dir, "secrets")
	errs := []error{os.MkdirAll(dir, 0o700)}
	for name, value := range d.secrets {
		path := filepath.Join(dir, name)
		errs = append(errs, os.WriteFile(path, []byte(value), 0o600))
		fmt.Fprintf(&d.blocks, "secret %q {\n  file = %q\n}\n", name, path)
	}
	return errors.Join(errs...)
}
