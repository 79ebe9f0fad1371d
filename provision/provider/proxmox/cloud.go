package proxmox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// cloudSlot is where the drive is that cloud-init reads. It is no IDE drive,
// as the web interface makes it: on q35 that is AHCI's, for which the kernels
// of cloud images have no driver.
var cloudSlot = slotOf(maxDisks - 1)

// EnsureCloud creates m with a copy of the image c.Image as its disk, or
// adopts it, and grows the disk to the size that m asks for: an import has the
// size of its image.
func (p *Provider) EnsureCloud(ctx context.Context, m provider.Machine, c provider.CloudConfig) (provider.Machine, error) {
	params, err := p.cloudParams(m, c)
	if err != nil {
		return m, err
	}
	got, err := p.ensure(ctx, m, params)
	if err != nil {
		return m, err
	}
	v, err := p.grown(ctx, got, m.Disk)
	if err != nil {
		return m, fmt.Errorf("grow the disk of machine %s: %w", m.Name, err)
	}
	power := got.Power
	got = v.machine()
	got.Power = power
	got.Adrift = append(got.Adrift, differences(m, got)...)
	got.Adrift = append(got.Adrift, v.configuredOtherwise(params)...)
	return got, nil
}

// cloudParams are those of a node with another disk, another drive, and what
// cloud-init is to do. Such a machine comes back with its hypervisor: others
// wait for what it serves. Cloud images have no guest agent.
func (p *Provider) cloudParams(m provider.Machine, c provider.CloudConfig) (map[string]any, error) {
	params, err := p.createParams(m)
	if err != nil {
		return nil, err
	}
	if _, taken := params[cloudSlot]; taken {
		return nil, fmt.Errorf("machine %s: there is no slot left for the drive of cloud-init", m.Name)
	}
	if !diskRef.MatchString(c.Image) {
		return nil, fmt.Errorf("machine %s: %q is not a disk image that was stored", m.Name, c.Image)
	}
	settings, err := cloudSettings(c)
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", m.Name, err)
	}
	delete(params, "agent")
	params["onboot"], params["ciupgrade"] = true, false
	params[diskSlot] = p.cfg.Storage.imported(c.Image)
	params[cloudSlot] = p.cfg.Storage.Disk + ":cloudinit"
	for option, value := range settings {
		params[option] = value
	}
	return params, nil
}

var diskRef = regexp.MustCompile(`^(?i:[a-z][a-z0-9_.-]*):import/[A-Za-z0-9_.-]+$`)

func (s Storage) imported(ref string) string {
	return strings.Replace(s.disk(0), ",", ",import-from="+ref+",", 1)
}

var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// cloudSettings are what cloud-init is told, but for the upgrade of packages,
// which would keep an operator waiting at every first start.
func cloudSettings(c provider.CloudConfig) (map[string]string, error) {
	if !userName.MatchString(c.User) {
		return nil, fmt.Errorf("%q is not the name of a user", c.User)
	}
	if len(c.Keys) == 0 {
		return nil, errors.New("no SSH key would let anybody in")
	}
	network, err := networkLine(c.Addresses, c.Gateways)
	settings := map[string]string{"ciuser": c.User, "sshkeys": keyLines(c.Keys), "ipconfig0": network}
	if len(c.Nameservers) > 0 {
		settings["nameserver"] = strings.Join(texts(c.Nameservers), " ")
	}
	return settings, err
}

// keyLines are the keys as the server wants them: URL-encoded before the form
// is, and without "+", which it does not read as a space. Comments would end
// up in a YAML file unquoted.
func keyLines(keys []ssh.PublicKey) string {
	var lines strings.Builder
	for _, key := range keys {
		lines.Write(ssh.MarshalAuthorizedKey(key))
	}
	return strings.ReplaceAll(url.QueryEscape(strings.TrimSpace(lines.String())), "+", "%20")
}

// networkLine is the option ipconfig0.
func networkLine(addresses []netip.Prefix, gateways []netip.Addr) (string, error) {
	var line []string
	found := make(map[string]bool)
	for _, a := range addresses {
		key := "ip" + six(a.Addr())
		if found[key] || !a.IsValid() || a.Addr().Zone() != "" {
			return "", fmt.Errorf("address %s: one of each family is possible", a)
		}
		found[key] = true
		line = append(line, key+"="+a.String())
	}
	for _, g := range gateways {
		key := "gw" + six(g)
		if found[key] || !found["ip"+six(g)] || g.Zone() != "" {
			return "", fmt.Errorf("gateway %s: one for each address is possible", g)
		}
		found[key] = true
		line = append(line, key+"="+g.String())
	}
	if len(line) == 0 {
		return "", errors.New("it has no address")
	}
	return strings.Join(line, ","), nil
}

// six is what PVE adds to the keys of the sixth version.
func six(a netip.Addr) string {
	if a.Is4() {
		return ""
	}
	return "6"
}

func texts(addresses []netip.Addr) []string {
	all := make([]string, len(addresses))
	for i, a := range addresses {
		all[i] = a.String()
	}
	return all
}

// grown returns got's virtual machine with a disk of at least that size.
func (p *Provider) grown(ctx context.Context, got provider.Machine, gib int) (vm, error) {
	v, err := p.owned(ctx, got)
	if err != nil || v.diskGiB(diskSlot) >= gib {
		return v, err
	}
	err = p.api.surely(ctx, v.node+" disks", func() error {
		handle, err := p.api.change(ctx, v.path()+"/resize", url.Values{"disk": {diskSlot}, "size": {fmt.Sprintf("%dG", gib)}})
		if err != nil {
			return err
		}
		return p.api.finish(ctx, handle, vmTask)
	})
	if err != nil {
		return v, err
	}
	if v, err = p.owned(ctx, got); err == nil && v.diskGiB(diskSlot) < gib {
		err = fmt.Errorf("VM %d has %d GiB still", v.id, v.diskGiB(diskSlot))
	}
	return v, err
}

// change is put for what is done by a task, whose UPID it returns.
func (c *client) change(ctx context.Context, path string, params url.Values) (handle string, err error) {
	err = c.call(ctx, http.MethodPut, path, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.base+path, strings.NewReader(params.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		handle, err = c.send(req)
		return err
	})
	return handle, err
}

// configuredOtherwise lists what cloud-init was told otherwise than asked. It
// is not repaired: cloud-init would take the guest for a new one.
func (v vm) configuredOtherwise(asked map[string]any) []string {
	var found []string
	for _, option := range []string{"ciuser", "ipconfig0", "nameserver", "sshkeys"} {
		have, want := string(v.config[option]), fmt.Sprint(asked[option])
		switch {
		case asked[option] == nil || have == want:
		case option == "sshkeys":
			found = append(found, "the SSH keys of its cloud-init are not those asked for")
		default:
			found = append(found, fmt.Sprintf("%s of its cloud-init: asked for %s, it has %s", option, want, have))
		}
	}
	return found
}

// checkCloud looks for what making a machine of a cloud image needs beside
// the content of the storage. Rights it needs none beside a node's:
// VM.Config.Network is one of two privileges that let cloud-init be told.
func (p *Provider) checkCloud(s *survey) {
	if !s.want.Cloud {
		return
	}
	if !takesDisks(s.release) {
		s.fatal("upgrade it, or make the services host by hand and write mode = \"ssh\"", "%s runs Proxmox VE %s, which takes no disk images: 8.4 does", p.api.host, s.release)
	}
	for node, have := range s.each(p.cfg.Storage.ISO) {
		if need := s.want.CloudBytes + s.want.ImageBytes; s.want.CloudBytes > 0 && need > int64(have.Free) {
			s.fatal(fmt.Sprintf("remove images that are no longer used: pvesm list %s", p.cfg.Storage.ISO),
				"the cloud image and the boot image have %d MiB, and storage %q on node %q has %d MiB free",
				need/mebibyte, p.cfg.Storage.ISO, node, int64(have.Free)/mebibyte)
		}
	}
}

// PutDisk uploads a disk image to the ISO storage, as Put does.
func (p *Provider) PutDisk(ctx context.Context, img provider.Image, places []string, progress func(sent int64)) (string, error) {
	if !diskName.MatchString(img.Name) {
		return "", fmt.Errorf("store disk image %q: its name is not one that Proxmox VE imports", img.Name)
	}
	release, err := p.release(ctx)
	if err != nil {
		return "", fmt.Errorf("store disk image %s: %w", img.Name, err)
	}
	if !takesDisks(release) {
		return "", hint.With(fmt.Errorf("store disk image %s: Proxmox VE %s takes no disk images, 8.4 does", img.Name, release),
			"upgrade it, or make the services host by hand and write mode = \"ssh\"")
	}
	return p.put(ctx, p.diskShelf(), img, places, progress)
}

// Disks lists the disk images that owner's cluster has on any node, sorted.
// Before release 8.2 there was no such content.
func (p *Provider) Disks(ctx context.Context, owner provider.Mark) ([]string, error) {
	refs, err := p.imagesOf(ctx, owner, p.diskShelf())
	if errors.Is(err, ParamInvalid) {
		return nil, nil
	}
	return refs, err
}

var diskName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,240}\.(qcow2|raw)$`)

func (p *Provider) diskShelf() shelf { return shelf{p.cfg.Storage.ISO, "import"} }

// takesDisks reports whether disk images can be uploaded to a release: since
// libpve-storage-perl 8.3.6.
func takesDisks(release string) bool {
	var major, minor int
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return err == nil && (major > 8 || major == 8 && minor >= 4)
}
