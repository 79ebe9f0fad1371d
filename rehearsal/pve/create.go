package pve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A creation is a POST to /nodes/{node}/qemu on its way.
type creation struct {
	*call
	vmid          int
	pool, storage string
	start         bool
	conf          map[string]string
	allocated     []string
}

func newCreation(c *call) *creation {
	conf := maps.Clone(c.params)
	for _, name := range []string{"node", "vmid", "pool", "storage", "start", "ha-managed"} {
		delete(conf, name)
	}
	if cd, ok := conf["cdrom"]; ok { // an alias
		delete(conf, "cdrom")
		conf["ide2"] = cd + ",media=cdrom"
	}
	return &creation{call: c, vmid: c.vmid(), pool: c.params["pool"], storage: c.params["storage"],
		start: c.flag("start"), conf: conf}
}

func createVM(c *call) (any, error) {
	n := newCreation(c)
	if err := n.mayCreate(); err != nil {
		return nil, err
	}
	if err := c.srv.needQuorum(); err != nil {
		return nil, err
	}
	if err := n.reserve(); err != nil {
		return nil, err
	}
	return c.srv.fork(c, c.node, "qmcreate", strconv.Itoa(n.vmid), n.work)
}

func (n *creation) mayCreate() error {
	s, t := n.srv, n.token
	if n.pool != "" && !slices.Contains(s.cfg.Pools, n.pool) {
		return forbidden("/pool/" + n.pool)
	}
	if n.storage != "" {
		if err := s.check(t, "/storage/"+n.storage, "Datastore.AllocateSpace"); err != nil {
			return err
		}
	}
	if n.flag("ha-managed") {
		if err := s.check(t, "/", "Sys.Console"); err != nil {
			return err
		}
	}
	if n.start {
		if err := s.checkVM(t, n.vmid, n.pool, "VM.PowerMgmt"); err != nil {
			return err
		}
	}
	if !s.allowed(t, vmPath(n.vmid), "VM.Allocate") && (n.pool == "" || !s.allowed(t, "/pool/"+n.pool, "VM.Allocate")) {
		return forbidden("")
	}
	return s.checkOptions(n.call, n.pool, n.storage, n.conf)
}

// checkOptions asks for the rights that the given options need and completes
// network devices with MAC addresses.
func (s *Server) checkOptions(c *call, pool, defaultStorage string, conf map[string]string) error {
	for _, option := range slices.Sorted(maps.Keys(conf)) {
		if err := s.checkStorageAccess(c, option, conf[option], defaultStorage); err != nil {
			return err
		}
	}
	for _, option := range slices.Sorted(maps.Keys(conf)) {
		if err := s.checkOption(c, pool, option, conf[option]); err != nil {
			return err
		}
	}
	for _, option := range slices.Sorted(maps.Keys(conf)) {
		if strings.HasPrefix(option, "net") {
			if err := s.completeNIC(c, option, conf); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) checkOption(c *call, pool, option, value string) error {
	switch {
	case isDrive(option):
		return importSyntax(option, value)
	case option == "tags":
		return nil
	case cloudInitOption(option):
		return s.mayCloudInit(c, pool, option, value)
	case strings.HasPrefix(option, "unused"):
		return s.checkVM(c.token, c.vmid(), pool, "VM.Config.Disk")
	case strings.HasPrefix(option, "usb"):
		return s.checkUSB(c, pool, option, value)
	case strings.HasPrefix(option, "hostpci"):
		return die("only root can set '%s' config for non-mapped devices", option)
	case option == "cpu" && !knownCPU(value):
		return badParam("cpu", "invalid format - Built-in cputype '"+cpuType(value)+"' is not defined (missing 'custom-' prefix?)\n")
	case strings.HasPrefix(option, "serial"):
		if value != "socket" {
			return die("only root can set '%s' config for real devices", option)
		}
		return s.checkVM(c.token, c.vmid(), pool, "VM.Config.HWType")
	}
	priv, ok := optionPrivilege[option]
	if !ok {
		return die("only root can set '%s' config", option)
	}
	if err := s.checkVM(c.token, c.vmid(), pool, priv); err != nil || option != "startup" {
		return err
	}
	return s.check(c.token, "/", "Sys.Modify")
}

// checkUSB allows what is no device of the host.
func (s *Server) checkUSB(c *call, pool, option, value string) error {
	if err := s.checkVM(c.token, c.vmid(), pool, "VM.Config.HWType"); err != nil {
		return err
	}
	if keys, _ := usbKeys.parse(option, value); !strings.EqualFold(keys["host"], "spice") {
		return die("only root can set '%s' config for real devices", option)
	}
	return nil
}

func (s *Server) checkStorageAccess(c *call, option, value, defaultStorage string) error {
	if !isDrive(option) {
		return nil
	}
	d, err := parseDrive(option, value)
	if err != nil {
		return badParam(option, "invalid format - "+err.Error())
	}
	if id, _, ok := d.fresh(defaultStorage); ok {
		if err := s.mayAllocate(c, id); err != nil {
			return err
		}
		return s.mayImport(c, option, d)
	}
	switch file := d["file"]; {
	case file == "none" || d.newCloudInit():
		return nil
	case file == "cdrom":
		return s.check(c.token, "/", "Sys.Console")
	case strings.HasPrefix(file, "/"):
		return die("Only root can pass arbitrary filesystem paths.")
	}
	return s.mayUseVolume(c, option, d)
}

func (s *Server) mayAllocate(c *call, id string) error {
	if id == "" {
		return die("no storage ID specified (and no default storage)")
	}
	if err := s.check(c.token, "/storage/"+id, "Datastore.AllocateSpace"); err != nil {
		return err
	}
	store, err := s.storage(id)
	if err != nil {
		return err
	}
	if !slices.Contains(store.Content, "images") {
		return badParam("storage", fmt.Sprintf("storage '%s' does not support vm images", id))
	}
	return nil
}

// mayUseVolume is the rule for attaching something that exists: an ISO needs
// rights on its storage, a disk image must be the VM's own.
func (s *Server) mayUseVolume(c *call, option string, d drive) error {
	id, name, _ := d.volume()
	if _, err := s.storage(id); err != nil {
		return err
	}
	if strings.HasPrefix(name, "iso/") && d["media"] != "cdrom" {
		return badParam(option, "explicit 'media=cdrom' is required for iso images")
	}
	if s.allowed(c.token, "/storage/"+id, "Datastore.Allocate") {
		return nil
	}
	if strings.HasPrefix(name, "iso/") {
		return s.checkAny(c.token, "/storage/"+id, "Datastore.AllocateSpace", "Datastore.Audit")
	}
	m := ownedImage.FindStringSubmatch(name)
	switch {
	case m == nil:
		return badParam(option, "content type needs to be 'images' or 'iso'")
	case m[2] == strconv.Itoa(c.vmid()):
		return nil
	}
	if err := s.check(c.token, "/storage/"+id, "Datastore.Audit"); err != nil {
		return err
	}
	return s.check(c.token, "/vms/"+m[2], "VM.Config.Disk")
}

// completeNIC asks for the right to the bridge, and gives a device without
// MAC address a random one.
func (s *Server) completeNIC(c *call, option string, conf map[string]string) error {
	keys, err := netKeys.parse(option, conf[option])
	if err != nil {
		return badParam(option, "invalid format - "+err.Error())
	}
	if err := s.mayPlug(c, keys); err != nil {
		return err
	}
	if keys["macaddr"] == "" {
		keys["macaddr"] = randomMAC()
	}
	conf[option] = netKeys.print(keys)
	return nil
}

func randomMAC() string {
	tail := make([]byte, 3)
	rand.Read(tail)
	return fmt.Sprintf("BC:24:11:%02X:%02X:%02X", tail[0], tail[1], tail[2])
}

// reserve writes the placeholder configuration; of several creations of one
// VMID exactly one gets past it.
func (n *creation) reserve() error {
	s := n.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.vms[n.vmid]; m != nil {
		return die("unable to create VM %d - VM %d already exists on node '%s'", n.vmid, n.vmid, m.node)
	}
	m := newMachine(n.vmid, n.node)
	m.conf["lock"] = "create"
	m.stats = stats{status: "unknown", due: time.Now().Add(s.cfg.Speed.Scale(s.cfg.Durations.Stats))}
	s.vms[n.vmid] = m
	return nil
}

func (n *creation) work(ctx context.Context, t *task) error {
	err := n.build(ctx, t)
	if errors.Is(err, errKilled) {
		return err // no time to clean up
	}
	if err != nil {
		n.srv.mu.Lock()
		delete(n.srv.vms, n.vmid)
		n.srv.mu.Unlock()
		return err
	}
	if n.flag("ha-managed") {
		n.srv.print(t, "Add as HA resource")
		n.srv.SetHA(n.vmid, map[bool]string{true: "started", false: "stopped"}[n.start])
	}
	if n.start { // what goes wrong here does not fail the task
		n.srv.print(t, "Execute autostart")
		if err := n.srv.start(ctx, t, n.node, n.vmid); err != nil {
			n.srv.print(t, "%s", strings.TrimSuffix(err.Error(), "\n"))
		}
	}
	return nil
}

func (n *creation) build(ctx context.Context, t *task) error {
	unlock, err := n.srv.lockConfig(ctx, n.node, n.vmid)
	if err != nil {
		return err
	}
	defer unlock()
	err = n.fill(ctx, t)
	if err == nil || errors.Is(err, errKilled) {
		return err
	}
	n.srv.free(n.allocated)
	return fmt.Errorf("unable to create VM %d - %w", n.vmid, err)
}

// fill makes the disks and writes the final configuration, in the real
// server's order: tags are asked for before the VM is in its pool.
func (n *creation) fill(ctx context.Context, t *task) error {
	if err := n.srv.pause(ctx, n.srv.cfg.Durations.Create); err != nil {
		return err
	}
	if err := n.makeDrives(ctx, t); err != nil {
		return err
	}
	n.complete()
	if tags, ok := n.conf["tags"]; ok {
		if err := n.srv.mayTag(n.token, n.vmid, "", tags); err != nil {
			return err
		}
		n.conf["tags"] = sortTags(tags)
	}
	n.srv.mu.Lock()
	defer n.srv.mu.Unlock()
	m := n.srv.vms[n.vmid]
	m.conf, m.pool = n.conf, n.pool
	return nil
}

func (n *creation) makeDrives(ctx context.Context, t *task) error {
	for _, option := range driveNames {
		value, ok := n.conf[option]
		if !ok {
			continue
		}
		made, volid, err := n.srv.makeDrive(ctx, driveJob{node: n.node, vmid: n.vmid, option: option, value: value, defaultStorage: n.storage})
		if volid != "" {
			n.allocated = append(n.allocated, volid)
		}
		if err != nil {
			return err
		}
		n.conf[option] = made
		n.srv.print(t, "%s: successfully created disk '%s'", option, made)
	}
	return nil
}

func (n *creation) complete() {
	if n.conf["boot"] == "" {
		n.conf["boot"] = defaultBoot(n.conf)
	}
	if n.conf["smbios1"] == "" {
		n.conf["smbios1"] = "uuid=" + uuid.NewString()
	}
	n.conf["vmgenid"] = uuid.NewString()
	n.conf["meta"] = fmt.Sprintf("creation-qemu=10.1.2,ctime=%d", time.Now().Unix())
	if d, ok := n.conf["description"]; ok {
		n.conf["description"] = strings.TrimRight(d, " \t\r\n")
	}
}
