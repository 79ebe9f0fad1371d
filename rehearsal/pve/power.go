package pve

import (
	"context"
	"strconv"
	"strings"
	"time"
)

func startVM(c *call) (any, error) {
	if err := rootOnly(c, "skiplock"); err != nil {
		return nil, err
	}
	if err := c.srv.needQuorum(); err != nil {
		return nil, err
	}
	work := func(ctx context.Context, t *task) error { return c.srv.start(ctx, t, c.node, c.vmid()) }
	if c.srv.haManaged(c) {
		return requestHA(c, "start", "started", work)
	}
	return forkVM(c, "qmstart", work)
}

// rootOnly refuses options that no token may use.
func rootOnly(c *call, options ...string) error {
	for _, option := range options {
		if c.flag(option) {
			return badParam(option, "Only root may use this option.")
		}
	}
	return nil
}

// forkVM starts a task about the call's VM.
func forkVM(c *call, kind string, work func(context.Context, *task) error) (any, error) {
	return c.srv.fork(c, c.node, kind, strconv.Itoa(c.vmid()), work)
}

// start is the work of qmstart. What is wrong with the configuration comes to
// light here and no earlier.
func (s *Server) start(ctx context.Context, t *task, node string, vmid int) error {
	unlock, err := s.lockConfig(ctx, node, vmid)
	if err != nil {
		return err
	}
	defer unlock()
	hardware, err := s.startable(node, vmid)
	if err != nil {
		return err
	}
	if s.lacksEFIDisk(vmid) {
		s.warn(t, "no efidisk configured! Using temporary efivars disk.")
	}
	if err := s.pause(ctx, s.cfg.Durations.Start); err != nil {
		return err
	}
	s.running(vmid, true)
	if err := s.cfg.Hypervisor.PowerOn(hardware); err != nil {
		s.running(vmid, false)
		return die("start failed: %v", err)
	}
	return nil
}

func (s *Server) lacksEFIDisk(vmid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[vmid]
	return m != nil && m.conf["bios"] == "ovmf" && m.conf["efidisk0"] == ""
}

// startable checks what start checks, applies pending changes and returns the
// VM to power on.
func (s *Server) startable(node string, vmid int) (VM, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(node, vmid)
	if err != nil {
		return VM{}, err
	}
	if err := m.unlocked(); err != nil {
		return VM{}, err
	}
	if m.running {
		return VM{}, die("VM %d already running", vmid)
	}
	if m.conf["template"] == "1" {
		return VM{}, die("you can't start a vm if it's a template")
	}
	m.applyPending()
	return s.hardware(m), s.bootable(m)
}

// bootable says what keeps the VM from starting. The caller holds s.mu.
func (s *Server) bootable(m *machine) error {
	if m.cpus() > s.cfg.CPUsPerNode {
		return die("MAX %d vcpus allowed per VM on this node", s.cfg.CPUsPerNode)
	}
	for _, name := range driveNames {
		d, err := parseDrive(name, m.conf[name])
		if err != nil || !d.cdrom() || d["file"] == "none" {
			continue
		}
		id, volume, _ := d.volume()
		if _, there := s.volumes[d["file"]]; there {
			continue
		}
		if path, err := s.filePath(m.node, id, volume); err != nil || !exists(path) {
			return die("volume '%s' does not exist", d["file"])
		}
	}
	return s.pluggable(m)
}

// running records a change of power.
func (s *Server) running(vmid int, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[vmid]
	if m == nil {
		return
	}
	s.publish(m)
	m.running, m.started = on, time.Now()
	s.pid++
	m.pid = s.pid
}

func stopVM(c *call) (any, error) {
	if err := rootOnly(c, "skiplock", "keepActive"); err != nil {
		return nil, err
	}
	if c.srv.haManaged(c) {
		if c.flag("overrule-shutdown") {
			return nil, badParam("overrule-shutdown", "Not applicable for HA resources.")
		}
		return requestHA(c, "stop", "stopped", func(ctx context.Context, _ *task) error {
			return c.srv.powerOff(ctx, c, c.srv.cfg.Durations.Stop)
		})
	}
	return forkVM(c, "qmstop", func(ctx context.Context, t *task) error {
		if c.flag("overrule-shutdown") {
			if upids := c.srv.abort("qmshutdown", strconv.Itoa(c.vmid())); len(upids) > 0 {
				c.srv.print(t, "overruled qmshutdown tasks: %s", strings.Join(upids, ", "))
			}
		}
		return c.srv.powerOff(ctx, c, c.srv.cfg.Durations.Stop)
	})
}

// powerOff cuts the power after d, under the configuration lock. A stopped VM
// is no error.
func (s *Server) powerOff(ctx context.Context, c *call, d time.Duration) error {
	unlock, on, err := s.lockRunning(ctx, c)
	if err != nil {
		return err
	}
	defer unlock()
	if !on {
		return nil
	}
	if err := s.pause(ctx, d); err != nil {
		return err
	}
	s.cfg.Hypervisor.PowerOff(c.vmid())
	s.running(c.vmid(), false)
	return nil
}

// lockRunning takes the configuration lock and says whether the VM runs.
func (s *Server) lockRunning(ctx context.Context, c *call) (unlock func(), on bool, err error) {
	unlock, err = s.lockConfig(ctx, c.node, c.vmid())
	if err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(c.node, c.vmid())
	if err == nil && m.running {
		err = m.unlocked()
	}
	if err != nil {
		unlock()
		return nil, false, err
	}
	return unlock, m.running, nil
}

const shutdownTimeout = 60 // seconds

// shutdownVM presses the ACPI button. Nothing in the simulated hosts answers
// it, as nothing does before an operating system is installed: the task holds
// the configuration lock until its time-out, and fails unless forceStop.
func shutdownVM(c *call) (any, error) {
	if err := rootOnly(c, "skiplock", "keepActive"); err != nil {
		return nil, err
	}
	if c.srv.haManaged(c) { // who cuts the power when nobody answers
		return requestHA(c, "stop", "stopped", func(ctx context.Context, _ *task) error {
			return c.srv.powerOff(ctx, c, shutdownTimeout*time.Second)
		})
	}
	patience := time.Duration(c.number("timeout", shutdownTimeout)) * time.Second
	return forkVM(c, "qmshutdown", func(ctx context.Context, t *task) error {
		if c.flag("forceStop") {
			return c.srv.powerOff(ctx, c, patience)
		}
		unlock, on, err := c.srv.lockRunning(ctx, c)
		if err != nil {
			return err
		}
		defer unlock()
		if !on {
			return nil
		}
		if err := c.srv.pause(ctx, patience); err != nil {
			return err
		}
		return die("VM quit/powerdown failed - got timeout")
	})
}

// resetVM is a hard reset: the machine loses its power and gets it back.
func resetVM(c *call) (any, error) {
	if err := rootOnly(c, "skiplock"); err != nil {
		return nil, err
	}
	c.srv.mu.Lock()
	m, err := c.srv.find(c.node, c.vmid())
	if err == nil && !m.running {
		err = die("VM %d not running", c.vmid())
	}
	c.srv.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return forkVM(c, "qmreset", func(ctx context.Context, t *task) error {
		unlock, on, err := c.srv.lockRunning(ctx, c)
		if err != nil {
			return err
		}
		defer unlock()
		if !on {
			return die("VM %d not running", c.vmid())
		}
		c.srv.mu.Lock()
		hardware := c.srv.hardware(c.srv.vms[c.vmid()])
		c.srv.mu.Unlock()
		c.srv.cfg.Hypervisor.PowerOff(c.vmid())
		return c.srv.cfg.Hypervisor.PowerOn(hardware)
	})
}

func destroyVM(c *call) (any, error) {
	if err := rootOnly(c, "skiplock"); err != nil {
		return nil, err
	}
	if err := c.srv.destroyable(c); err != nil {
		return nil, err
	}
	return forkVM(c, "qmdestroy", func(ctx context.Context, t *task) error {
		unlock, err := c.srv.lockConfig(ctx, c.node, c.vmid())
		if err != nil {
			return err
		}
		defer unlock()
		return c.srv.destroy(ctx, t, c)
	})
}

// destroyable is the early check; the configuration lock field is none of it.
func (s *Server) destroyable(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(c.node, c.vmid())
	switch {
	case err != nil:
		return err
	case m.conf["protection"] == "1":
		return die("can't remove VM %d - protection mode enabled", m.id)
	case m.ha != "" && !c.flag("purge"):
		return die("unable to remove VM %d - used in HA resources and purge parameter not set.", m.id)
	case m.running:
		return die("VM %d is running - destroy failed", m.id)
	}
	return nil
}

func (s *Server) destroy(ctx context.Context, t *task, c *call) error {
	if err := s.destroyable(c); err != nil {
		return err
	}
	s.mu.Lock()
	locked := s.vms[c.vmid()].unlocked()
	s.mu.Unlock()
	if locked != nil {
		return locked
	}
	if err := s.pause(ctx, s.cfg.Durations.Destroy); err != nil {
		return err
	}
	s.cfg.Hypervisor.Destroy(c.vmid())
	if c.flag("purge") {
		s.print(t, "purging VM %d from related configurations..", c.vmid())
	}
	s.forget(c.vmid(), c.flag("destroy-unreferenced-disks"))
	return nil
}

// forget removes a VM with the disks it names, and with all of its VMID when
// told to.
func (s *Server) forget(vmid int, unreferenced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[vmid]
	for name, value := range m.conf {
		if d, err := parseDrive(name, value); err == nil && s.volumes[d["file"]].vmid == vmid {
			delete(s.volumes, d["file"])
		}
	}
	for volid, v := range s.volumes {
		if unreferenced && v.vmid == vmid {
			delete(s.volumes, volid)
		}
	}
	delete(s.vms, vmid)
}
