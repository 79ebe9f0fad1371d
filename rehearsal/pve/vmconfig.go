package pve

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func getConfig(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	m, err := c.srv.find(c.node, c.vmid())
	if err != nil {
		return nil, err
	}
	if snapshot := c.params["snapshot"]; snapshot != "" {
		return nil, die("snapshot '%s' does not exist", snapshot)
	}
	conf := maps.Clone(m.conf)
	if !c.flag("current") {
		conf = m.effective()
	}
	out := map[string]any{"digest": m.digest()}
	for option, value := range conf {
		out[option] = onWire(option, value)
	}
	return out, nil
}

// effective is the configuration with the pending changes in it.
func (m *machine) effective() map[string]string {
	conf := maps.Clone(m.conf)
	maps.Copy(conf, m.pending)
	for option := range m.deleted {
		delete(conf, option)
	}
	return conf
}

func (m *machine) applyPending() {
	before := m.conf
	m.conf = m.effective()
	for option := range m.deleted {
		if d, err := parseDrive(option, before[option]); err == nil && isDrive(option) && !d.cdrom() {
			m.keepUnused(d["file"])
		}
	}
	clear(m.pending)
	clear(m.deleted)
}

// onWire gives integers and booleans their JSON type; memory, a property
// string since release 8, stays text.
func onWire(option, value string) any {
	p, ok := configParams.lookup(option)
	if n, err := strconv.Atoi(value); ok && err == nil && (p.kind == "integer" || p.kind == "boolean") {
		return n
	}
	return value
}

func getPending(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	m, err := c.srv.find(c.node, c.vmid())
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, part := range []map[string]string{m.conf, m.pending} {
		for key := range part {
			keys[key] = true
		}
	}
	list := []map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		list = append(list, m.pendingEntry(key))
	}
	return list, nil
}

func (m *machine) pendingEntry(key string) map[string]any {
	entry := map[string]any{"key": key}
	if value, ok := m.conf[key]; ok {
		entry["value"] = onWire(key, value)
	}
	if value, ok := m.pending[key]; ok {
		entry["pending"] = onWire(key, value)
	}
	if m.deleted[key] {
		entry["delete"] = 1
	}
	return entry
}

func putConfig(c *call) (any, error) {
	u, err := newUpdate(c)
	if err != nil {
		return nil, err
	}
	return nil, u.run(c.ctx)
}

func postConfig(c *call) (any, error) {
	u, err := newUpdate(c)
	if err != nil {
		return nil, err
	}
	upid, err := c.srv.fork(c, c.node, "qmconfig", strconv.Itoa(c.vmid()), func(ctx context.Context, t *task) error {
		return u.run(ctx)
	})
	if delay := c.number("background_delay", 0); err == nil && delay > 0 {
		return c.srv.awaitTask(c, upid, time.Duration(delay)*time.Second, fmt.Sprintf("failed to update VM %d: ", c.vmid()))
	}
	return upid, err
}

// awaitTask gives a task some time: null when it succeeded within, its error
// when it failed, else its UPID.
func (s *Server) awaitTask(c *call, upid string, d time.Duration, prefix string) (any, error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.tasks, func(t *task) bool { return t.upid == upid })
	t := s.tasks[i]
	s.mu.Unlock()
	timer := time.NewTimer(s.cfg.Speed.Scale(d))
	defer timer.Stop()
	select {
	case <-t.done:
	case <-timer.C:
		return upid, nil
	case <-c.ctx.Done():
		return nil, context.Cause(c.ctx)
	}
	if t.exit != "OK" && !strings.HasPrefix(t.exit, "WARNINGS: ") {
		return nil, die("%s%s", prefix, t.exit)
	}
	return nil, nil
}

// An update is a change of a VM's configuration on its way.
type update struct {
	*call
	set    map[string]string
	delete []string
	digest string
}

func newUpdate(c *call) (*update, error) {
	u := &update{c, maps.Clone(c.params), splitList(c.params["delete"]), c.params["digest"]}
	for _, name := range []string{"node", "vmid", "delete", "revert", "digest", "force", "skiplock", "background_delay"} {
		delete(u.set, name)
	}
	if err := rootOnly(c, "skiplock"); err != nil {
		return nil, err
	}
	if len(u.set) == 0 && len(u.delete) == 0 && c.params["revert"] == "" {
		return nil, die("no options specified")
	}
	if cd, ok := u.set["cdrom"]; ok {
		delete(u.set, "cdrom")
		u.set["ide2"] = cd + ",media=cdrom"
	}
	if err := u.checkDelete(); err != nil {
		return nil, err
	}
	if err := c.srv.checkOptions(c, "", "", u.set); err != nil {
		return nil, err
	}
	if err := c.srv.needQuorum(); err != nil {
		return nil, err
	}
	return u, u.early()
}

func (u *update) checkDelete() error {
	for _, option := range u.delete {
		if _, both := u.set[option]; both {
			return badParam("delete", fmt.Sprintf("you can't use '-%s' and -delete %s' at the same time", option, option))
		}
		if _, ok := configParams.lookup(option); !ok {
			return badParam("delete", fmt.Sprintf("unknown option '%s'", option))
		}
		if err := u.srv.checkOption(u.call, "", option, "socket"); err != nil {
			return err
		}
	}
	return nil
}

// early checks what is checked before the lock is taken, and again under it.
func (u *update) early() error {
	u.srv.mu.Lock()
	defer u.srv.mu.Unlock()
	_, err := u.load()
	return err
}

func (u *update) load() (*machine, error) {
	m, err := u.srv.find(u.node, u.vmid())
	if err != nil {
		return nil, err
	}
	if u.digest != "" && u.digest != m.digest() {
		return nil, die("checksum mismatch (file change by other user?)")
	}
	if err := m.unlocked(); err != nil {
		return nil, err
	}
	if balloon, err := strconv.Atoi(u.set["balloon"]); err == nil && balloon > u.memory(m) {
		return nil, die("balloon value too large (must be smaller than assigned memory)")
	}
	return m, nil
}

// memory is what the VM has after the change, in MiB.
func (u *update) memory(m *machine) int {
	after := machine{conf: m.effective()}
	if memory, ok := u.set["memory"]; ok {
		after.conf["memory"] = memory
	}
	return after.memory()
}

// run carries the change out under the configuration lock.
func (u *update) run(ctx context.Context) error {
	unlock, err := u.srv.lockConfig(ctx, u.node, u.vmid())
	if err != nil {
		return err
	}
	defer unlock()
	if err := u.early(); err != nil {
		return err
	}
	if err := u.makeDrives(ctx); err != nil {
		return err
	}
	if err := u.checkTags(); err != nil {
		return err
	}
	return u.apply()
}

func (u *update) checkTags() error {
	tags, given := u.set["tags"]
	if !given && !slices.Contains(u.delete, "tags") {
		return nil
	}
	if err := u.srv.mayTag(u.token, u.vmid(), u.current("tags"), tags); err != nil {
		return err
	}
	if given {
		u.set["tags"] = sortTags(tags)
	}
	return nil
}

func (u *update) makeDrives(ctx context.Context) error {
	for _, option := range driveNames {
		value, ok := u.set[option]
		if !ok && !slices.Contains(u.delete, option) {
			continue
		}
		if err := u.mayChangeDrive(option, value); err != nil {
			return err
		}
		if !ok {
			continue
		}
		made, _, err := u.srv.makeDrive(ctx, driveJob{node: u.node, vmid: u.vmid(), option: option, value: value})
		if err != nil {
			return err
		}
		u.set[option] = made
	}
	return nil
}

// mayChangeDrive asks for the right to what was in the drive and to what is
// going to be.
func (u *update) mayChangeDrive(option, value string) error {
	for _, v := range []string{u.current(option), value} {
		d, err := parseDrive(option, v)
		if err != nil {
			continue // nothing was there, or nothing is going to be
		}
		privs := []string{"VM.Config.Disk"}
		switch {
		case d.cloudInit():
			privs = []string{"VM.Config.Cloudinit", "VM.Config.CDROM"}
		case d.cdrom():
			privs = []string{"VM.Config.CDROM"}
		}
		if err := u.srv.checkVM(u.token, u.vmid(), "", privs...); err != nil {
			return err
		}
	}
	return nil
}

// current is an option as it stands; "" too when the VM is gone.
func (u *update) current(option string) string {
	u.srv.mu.Lock()
	defer u.srv.mu.Unlock()
	if m := u.srv.vms[u.vmid()]; m != nil {
		return m.conf[option]
	}
	return ""
}

// hotplug are the options that a running VM takes over at once.
var hotplug = []string{"description", "name", "onboot", "protection", "startup", "tags"}

func (u *update) apply() error {
	media, changed, err := u.write()
	if err == nil && changed {
		u.srv.cfg.Hypervisor.Media(u.vmid(), media)
	}
	return err
}

// write puts the change into the configuration; it reports the CD that a
// running machine gets to see.
func (u *update) write() (media string, changed bool, err error) {
	u.srv.mu.Lock()
	defer u.srv.mu.Unlock()
	m, err := u.load()
	if err != nil {
		return "", false, err
	}
	for _, option := range slices.Sorted(maps.Keys(u.set)) {
		value := u.set[option]
		if option == "boot" {
			if err := u.checkBoot(m, value); err != nil {
				return "", false, err
			}
		}
		u.srv.replaced(m, option, value)
		if m.set(option, value) && m.running && isDrive(option) {
			d, _ := parseDrive(option, value)
			media, changed = u.srv.cdPath(u.node, d), true
		}
	}
	for _, option := range u.delete {
		if err := u.srv.takeOut(m, option); err != nil {
			return "", false, err
		}
	}
	u.reorder(m)
	for _, option := range splitList(u.params["revert"]) {
		delete(m.pending, option)
		delete(m.deleted, option)
	}
	return media, changed, nil
}

// set stores an option, at once or for the next start; it reports whether it
// is in effect.
func (m *machine) set(option, value string) bool {
	if option == "description" {
		value = strings.TrimRight(value, " \t\r\n")
	}
	delete(m.deleted, option)
	if m.running && !slices.Contains(hotplug, option) && !m.trayChange(option, value) {
		m.pending[option] = value
		return false
	}
	delete(m.pending, option)
	m.conf[option] = value
	return true
}

// trayChange says whether the option is a CD drive that stays one.
func (m *machine) trayChange(option, value string) bool {
	before, err1 := parseDrive(option, m.conf[option])
	after, err2 := parseDrive(option, value)
	return isDrive(option) && err1 == nil && err2 == nil && before.cdrom() && after.cdrom()
}

func (m *machine) unset(option string) {
	delete(m.pending, option)
	if _, ok := m.conf[option]; ok && m.running && !slices.Contains(hotplug, option) {
		m.deleted[option] = true
		return
	}
	delete(m.conf, option)
}
