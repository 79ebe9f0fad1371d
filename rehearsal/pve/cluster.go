package pve

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"time"
)

func getVersion(c *call) (any, error) {
	r := c.srv.release
	return map[string]any{"version": c.srv.cfg.Version, "repoid": "0123456789abcdef",
		"release": strconv.Itoa(r.major) + "." + strconv.Itoa(r.minor)}, nil
}

// getPermissions dumps effective rights, the caller's own or those of
// somebody else: for the path asked for, or for every path that an ACL or a
// pool says something about.
func getPermissions(c *call) (any, error) {
	who := cmp.Or(c.params["userid"], c.token.ID)
	if who != c.token.ID {
		if err := c.srv.check(c.token, "/access", "Sys.Audit"); err != nil {
			return nil, err
		}
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if p := c.params["path"]; p != "" {
		return map[string]any{p: c.srv.permissions(who, p)}, nil
	}
	out := map[string]map[string]int{}
	for _, p := range c.srv.permissionPaths() {
		if privs := c.srv.permissions(who, p); len(privs) > 0 {
			out[p] = privs
		}
	}
	return out, nil
}

// permissions are privileges with their propagation as on the wire. The
// caller holds s.mu.
func (s *Server) permissions(who, p string) map[string]int {
	p = path.Clean(p)
	privs := map[string]int{}
	for priv, propagate := range s.accounts.privileges(who, p, s.poolsOf(p)) {
		privs[priv] = bit(propagate)
	}
	return privs
}

func (s *Server) permissionPaths() []string {
	paths := map[string]bool{"/": true, "/access": true, "/access/groups": true, "/nodes": true, "/pool": true, "/sdn": true, "/storage": true, "/vms": true}
	for p := range s.accounts.acl {
		paths[p] = true
	}
	for id, m := range s.vms {
		if m.pool != "" {
			paths[vmPath(id)] = true
		}
	}
	for _, store := range s.cfg.Storages {
		if len(store.Pools) > 0 {
			paths["/storage/"+store.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

func getPools(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	list := []map[string]any{}
	for _, pool := range c.srv.cfg.Pools {
		if !c.srv.allowedLocked(c.token, "/pool/"+pool, "Pool.Audit") {
			continue
		}
		switch c.params["poolid"] {
		case "":
			list = append(list, map[string]any{"poolid": pool})
		case pool:
			list = append(list, map[string]any{"poolid": pool, "members": c.srv.members(pool, c.params["type"])})
		}
	}
	return list, nil
}

func getPool(c *call) (any, error) {
	pool := c.params["poolid"]
	if !slices.Contains(c.srv.cfg.Pools, pool) {
		return nil, die("pool '%s' does not exist", pool)
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	return map[string]any{"members": c.srv.members(pool, c.params["type"])}, nil
}

func (s *Server) members(pool, kind string) []map[string]any {
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(s.vms)) {
		if m := s.vms[id]; m.pool == pool && (kind == "" || kind == "qemu") {
			list = append(list, s.resource(m))
		}
	}
	return list
}

func getResources(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	kind := c.params["type"]
	list := []map[string]any{}
	if kind == "" || kind == "vm" {
		list = append(list, c.srv.vmResources(c.token)...)
	}
	if kind == "" || kind == "node" {
		list = append(list, c.srv.nodeResources(c.token)...)
	}
	if kind == "" || kind == "storage" {
		list = append(list, c.srv.storageResources(c.token)...)
	}
	if kind == "" || kind == "sdn" {
		list = append(list, c.srv.zoneResources(c.token)...)
	}
	return list, nil
}

func (s *Server) vmResources(t *Token) (list []map[string]any) {
	for _, id := range slices.Sorted(maps.Keys(s.vms)) {
		if !s.allowedLocked(t, vmPath(id), "VM.Audit") {
			continue
		}
		entry := s.resource(s.vms[id])
		if pool := s.vms[id].pool; pool != "" && !s.allowedLocked(t, "/pool/"+pool, "Pool.Audit") {
			delete(entry, "pool")
		}
		list = append(list, entry)
	}
	return list
}

// resource is a VM in /cluster/resources: options as they are, but state and
// name as old as the status daemon's last round.
func (s *Server) resource(m *machine) map[string]any {
	seen := s.published(m)
	entry := map[string]any{"id": "qemu/" + strconv.Itoa(m.id), "type": "qemu", "vmid": m.id,
		"node": m.node, "status": seen.status, "template": m.number("template", 0)}
	if seen.status != "unknown" {
		maps.Copy(entry, s.usage(m, seen.status == "running"))
		entry["name"] = seen.name
	}
	if m.pool != "" {
		entry["pool"] = m.pool
	}
	if m.ha != "" {
		entry["hastate"] = m.ha
	}
	for _, option := range []string{"tags", "lock"} {
		if value := m.conf[option]; value != "" {
			entry[option] = value
		}
	}
	return entry
}

// usage are the figures of a VM.
func (s *Server) usage(m *machine, running bool) map[string]any {
	uptime, memory := 0, 0
	if running {
		uptime, memory = int(time.Since(m.started).Seconds())+1, m.memory()<<20
	}
	return map[string]any{"maxcpu": m.cpus(), "maxmem": m.memory() << 20, "maxdisk": m.maxDisk(), "disk": 0,
		"cpu": 0, "mem": memory, "uptime": uptime, "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0}
}

// maxDisk is the size of the first disk.
func (m *machine) maxDisk() int64 {
	for _, name := range driveNames {
		if d, err := parseDrive(name, m.conf[name]); err == nil && !d.cdrom() && d["size"] != "" {
			return parseSize(d["size"])
		}
	}
	return 0
}

func (s *Server) nodeResources(t *Token) (list []map[string]any) {
	for _, node := range s.cfg.Nodes {
		list = append(list, s.describeNode(t, node))
	}
	return list
}

// describeNode is a node in lists, with figures for those who may audit it.
// The caller holds s.mu.
func (s *Server) describeNode(t *Token, node string) map[string]any {
	entry := map[string]any{"id": "node/" + node, "type": "node", "node": node, "status": "online", "level": ""}
	audit := s.allowedLocked(t, "/nodes/"+node, "Sys.Audit")
	if audit {
		entry["maxcpu"], entry["maxmem"], entry["maxdisk"] = s.cfg.CPUsPerNode, s.cfg.MemoryPerNode, int64(100<<30)
	}
	switch {
	case !s.online(node):
		entry["status"] = "offline"
	case audit:
		maps.Copy(entry, map[string]any{"mem": s.memoryUsed(node), "cpu": 0.02, "uptime": 86400, "disk": int64(5 << 30)})
	}
	return entry
}

// memoryUsed is what the running VMs of a node take, and the node itself.
func (s *Server) memoryUsed(node string) int64 {
	used := int64(2 << 30)
	for _, m := range s.vms {
		if m.node == node && m.running {
			used += int64(m.memory()) << 20
		}
	}
	return used
}

func (s *Server) storageResources(t *Token) (list []map[string]any) {
	for _, node := range s.cfg.Nodes {
		for _, store := range s.cfg.Storages {
			if !store.on(node) || !s.allowedLocked(t, "/storage/"+store.Name, "Datastore.Audit") {
				continue
			}
			entry := map[string]any{"id": "storage/" + node + "/" + store.Name, "type": "storage", "node": node, "storage": store.Name,
				"plugintype": store.Type, "content": store.kinds(), "status": "unknown", "shared": bit(store.Shared)}
			if s.online(node) {
				entry["status"], entry["maxdisk"], entry["disk"] = "available", store.size(), s.used(node, store)
			}
			list = append(list, entry)
		}
	}
	return list
}

func (s *Server) zoneResources(t *Token) (list []map[string]any) {
	if !s.allowedLocked(t, "/sdn/zones/localnetwork", "SDN.Audit") {
		return nil
	}
	for _, node := range s.cfg.Nodes {
		if s.online(node) {
			list = append(list, map[string]any{"id": "sdn/" + node + "/localnetwork", "type": "sdn", "node": node, "sdn": "localnetwork", "status": "ok"})
		}
	}
	return list
}

func getNodes(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	list := []map[string]any{}
	for _, node := range c.srv.cfg.Nodes {
		entry := c.srv.describeNode(c.token, node)
		entry["ssl_fingerprint"] = c.srv.hosts[node].fingerprint()
		list = append(list, entry)
	}
	return list, nil
}

func getNodeStatus(c *call) (any, error) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	total, used := c.srv.cfg.MemoryPerNode, c.srv.memoryUsed(c.node)
	return map[string]any{
		"pveversion": "pve-manager/" + c.srv.cfg.Version + "/0123456789abcdef", "uptime": 86400, "cpu": 0.02,
		"loadavg": []string{"0.10", "0.08", "0.05"}, "kversion": "Linux 6.17.2-1-pve",
		"cpuinfo": map[string]any{"cpus": c.srv.cfg.CPUsPerNode, "cores": c.srv.cfg.CPUsPerNode, "sockets": 1, "model": "Simulated CPU", "mhz": "3000.000"},
		"memory":  map[string]any{"total": total, "used": used, "free": total - used, "available": total - used},
	}, nil
}
