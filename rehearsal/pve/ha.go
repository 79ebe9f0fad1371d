package pve

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Times of the HA stack: filing a request, and the round in which the local
// resource manager carries it out.
const (
	haRequest = time.Second
	haRound   = 10 * time.Second
)

// SetHA makes a VM a resource of the HA stack in the given state ("started",
// "stopped", "disabled" or "ignored"), or no resource at all ("").
func (s *Server) SetHA(vmid int, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[vmid]
	if m == nil {
		return fmt.Errorf("VM %d does not exist", vmid)
	}
	m.ha = state
	return nil
}

// haManaged says whether the HA stack starts and stops the VM of a call.
func (s *Server) haManaged(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[c.vmid()]
	return m != nil && m.ha != "" && m.ha != "ignored"
}

// requestHA files a request instead of carrying it out: the task ends at once,
// and the VM changes some time later, in a task of root's.
func requestHA(c *call, what, state string, act func(context.Context, *task) error) (any, error) {
	s := c.srv
	return forkVM(c, "ha"+what, func(ctx context.Context, t *task) error {
		s.print(t, "Requesting HA %s for VM %d", what, c.vmid())
		if err := s.pause(ctx, haRequest); err != nil {
			return err
		}
		if err := s.SetHA(c.vmid(), state); err != nil {
			return die("no such resource 'vm:%d'", c.vmid())
		}
		s.later(haRound, func() {
			s.forkAs("root@pam", c.node, "qm"+what, strconv.Itoa(c.vmid()), act)
		})
		return nil
	})
}

// describeHA is the HA state of a VM in its status. The caller holds s.mu.
func (m *machine) describeHA() map[string]any {
	if m.ha == "" {
		return map[string]any{"managed": 0}
	}
	return map[string]any{"managed": 1, "state": m.ha}
}

func getHAResources(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(c.srv.vms)) {
		if m := c.srv.vms[id]; m.ha != "" && c.params["type"] != "ct" {
			list = append(list, map[string]any{"sid": "vm:" + strconv.Itoa(id), "type": "vm", "state": m.ha, "digest": m.digest()})
		}
	}
	return list, nil
}

// Migrate moves a VM and its disks to another node, as a migration or a
// recovery of the HA stack does in the end: the node it was on does not know
// it any more.
func (s *Server) Migrate(vmid int, node string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[vmid]
	switch {
	case s.hosts[node] == nil:
		return fmt.Errorf("node %s does not exist", node)
	case m == nil:
		return fmt.Errorf("VM %d does not exist", vmid)
	}
	m.node = node
	for volid, v := range s.volumes {
		if v.vmid == vmid {
			v.node = node
			s.volumes[volid] = v
		}
	}
	return nil
}

// Clone copies a VM that is off, with disks of the same names in other
// numbers: all that its configuration says is the copy's, too.
func (s *Server) Clone(vmid, as int, pool string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.vms[vmid]
	if m == nil || s.vms[as] != nil {
		return fmt.Errorf("clone VM %d as %d: the one is not there, or the other is", vmid, as)
	}
	conf := maps.Clone(m.conf)
	for _, name := range driveNames {
		d, err := parseDrive(name, conf[name])
		v, ours := s.volumes[d["file"]]
		if err != nil || !ours {
			continue
		}
		id, _, _ := d.volume()
		store, err := s.storage(id)
		if err != nil {
			return err
		}
		job := driveJob{vmid: as}
		if d.cloudInit() {
			job.volume = cloudInitName(as)
		}
		d["file"] = s.freeVolume(store, job, v.format)
		v.vmid, v.node = as, m.node
		s.volumes[d["file"]] = v
		conf[name] = d.print(name)
	}
	clone := newMachine(as, m.node)
	clone.conf, clone.pool = conf, pool
	clone.stats = stats{status: clone.status(), name: clone.name()}
	s.vms[as] = clone
	return nil
}
