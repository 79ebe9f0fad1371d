package pve

import (
	"maps"
	"slices"
)

func getVMs(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(c.srv.vms)) {
		if m := c.srv.vms[id]; m.node == c.node && c.srv.allowedLocked(c.token, vmPath(id), "VM.Audit") {
			list = append(list, c.srv.current(m))
		}
	}
	return list, nil
}

func getStatus(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	m, err := c.srv.find(c.node, c.vmid())
	if err != nil {
		return nil, err
	}
	entry := c.srv.current(m)
	entry["ha"], entry["qmpstatus"] = m.describeHA(), m.status()
	if m.agent() {
		entry["agent"] = 1
	}
	if m.running {
		entry["running-machine"], entry["running-qemu"] = "pc-q35-10.1+pve0", "10.1.2"
	}
	return entry, nil
}

// current is the state of a VM, live.
func (s *Server) current(m *machine) map[string]any {
	entry := s.usage(m, m.running)
	entry["cpus"] = entry["maxcpu"]
	delete(entry, "maxcpu")
	maps.Copy(entry, map[string]any{"vmid": m.id, "name": m.name(), "status": m.status()})
	if m.running {
		entry["pid"] = m.pid
	}
	if m.conf["serial0"] != "" {
		entry["serial"] = 1
	}
	for _, option := range []string{"tags", "lock"} {
		if value := m.conf[option]; value != "" {
			entry[option] = value
		}
	}
	return entry
}

func (m *machine) agent() bool {
	keys, err := agentKeys.parse("agent", m.conf["agent"])
	return err == nil && keys["enabled"] == "1"
}

// mayAskAgent differs between releases: VM.Monitor went with 9.
func mayAskAgent(c *call) error {
	if c.srv.release.before(9, 0) {
		return needs("/vms/{vmid}", "VM.Monitor")(c)
	}
	return needsAny("/vms/{vmid}", "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted")(c)
}

// getAgentInterfaces fails always: no simulated host runs a guest agent. The
// call holds its worker until the agent did not answer.
func getAgentInterfaces(c *call) (any, error) {
	c.srv.mu.Lock()
	m, err := c.srv.find(c.node, c.vmid())
	switch {
	case err != nil:
	case !m.agent():
		err = die("No QEMU guest agent configured")
	case !m.running:
		err = die("VM %d is not running", m.id)
	}
	c.srv.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := c.srv.pause(c.ctx, c.srv.cfg.Durations.Agent); err != nil {
		return nil, err
	}
	return nil, die("QEMU guest agent is not running")
}
