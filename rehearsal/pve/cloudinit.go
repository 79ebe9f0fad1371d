package pve

//lint:file-ignore ST1005 these are the real server's words, newlines and all

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

var ipconfigKeys = schema{"ip": text.opt().as(isAddressOf(4)), "gw": text.opt().as(isGatewayOf(4)).needs("ip"),
	"ip6": text.opt().as(isAddressOf(6)), "gw6": text.opt().as(isGatewayOf(6)).needs("ip6")}

// isAddressOf accepts an address with the length of its prefix, or how else
// one is found.
func isAddressOf(family int) func(string) error {
	return func(value string) error {
		p, err := netip.ParsePrefix(value)
		ok := err == nil && p.Addr().Zone() == "" && p.Addr().Is4() == (family == 4) && p.Bits() >= 8
		if ok || value == "dhcp" || family == 6 && value == "auto" {
			return nil
		}
		return fmt.Errorf("value does not look like a valid ipv%d network configuration\n", family)
	}
}

func isGatewayOf(family int) func(string) error {
	return func(value string) error {
		a, err := netip.ParseAddr(value)
		if err == nil && a.Zone() == "" && a.Is4() == (family == 4) {
			return nil
		}
		return fmt.Errorf("value does not look like a valid IPv%d address\n", family)
	}
}

func isAddress(value string) error {
	if a, err := netip.ParseAddr(value); err == nil && a.Zone() == "" || isDNSName(value) == nil {
		return nil
	}
	return fmt.Errorf("value does not look like a valid address: %s\n", value)
}

// isVolumeOrPath accepts what a disk may be imported from.
func isVolumeOrPath(value string) error {
	if volumeID.MatchString(value) || strings.HasPrefix(value, "/") {
		return nil
	}
	return fmt.Errorf("unable to parse volume ID '%s'\n", value)
}

var cloudInitVolume = regexp.MustCompile(`[:/](?:vm-\d+-)?cloudinit(?:\.\w+)?$`)

// cloudInit says whether the drive is the one that configures the guest.
func (d drive) cloudInit() bool { return cloudInitVolume.MatchString(d["file"]) }

// newCloudInit says whether it is one that is to be made.
func (d drive) newCloudInit() bool {
	_, name, _ := strings.Cut(d["file"], ":")
	return name == "cloudinit"
}

// cloudInitSize is that of the volume, which the server fills at each start.
const cloudInitSize = 4 << 20

func cloudInitName(vmid int) string { return fmt.Sprintf("vm-%d-cloudinit", vmid) }

func (s *Server) allocateCloudInit(ctx context.Context, j driveJob, d drive) (value, allocated string, err error) {
	if there := s.cloudInitOf(j.vmid); there != "" && there != j.option {
		return "", "", die("%s - cloud-init drive is already attached at '%s'", j.option, there)
	}
	id, _, _ := strings.Cut(d["file"], ":")
	store, err := s.storageOn(j.node, id)
	if err != nil {
		return "", "", err
	}
	if store.files() && d["format"] == "" {
		d["format"] = "qcow2"
	}
	d["media"], j.volume = "cdrom", cloudInitName(j.vmid)
	return s.allocate(ctx, j, d, id, cloudInitSize)
}

// cloudInitOf is the VM's drive that configures it, "" when there is none.
func (s *Server) cloudInitOf(vmid int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[vmid]
	if m == nil {
		return ""
	}
	for _, option := range driveNames {
		if d, err := parseDrive(option, m.conf[option]); err == nil && d.cloudInit() {
			return option
		}
	}
	return ""
}

var cloudInitOptions = append([]string{"cipassword", "citype", "ciupgrade", "ciuser", "nameserver", "searchdomain", "sshkeys"}, numbered("ipconfig", 32)...)

func cloudInitOption(option string) bool { return slices.Contains(cloudInitOptions, option) }

// mayCloudInit asks for either of two privileges, and looks at keys as
// ssh-keygen does.
func (s *Server) mayCloudInit(c *call, pool, option, value string) error {
	if s.checkVM(c.token, c.vmid(), pool, "VM.Config.Cloudinit") != nil && s.checkVM(c.token, c.vmid(), pool, "VM.Config.Network") != nil {
		return forbidden(vmPath(c.vmid()) + ", VM.Config.Cloudinit|VM.Config.Network")
	}
	if option != "sshkeys" {
		return nil
	}
	keys, err := url.PathUnescape(value)
	if err != nil {
		return die("SSH public key validation error")
	}
	for line := range strings.Lines(keys) {
		if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); strings.TrimSpace(line) != "" && err != nil {
			return die("SSH public key validation error")
		}
	}
	return nil
}
