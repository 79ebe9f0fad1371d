package rehearsal

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/rehearsal/pve"
)

// A datacentre is a simulated Proxmox VE cluster: its API and its machines.
type datacentre struct {
	HypervisorConfig
	api  *pve.Server
	rack machines
}

// peers are the nodes besides the one that the URL is of.
func (h HypervisorConfig) peers() []string { return h.Nodes[min(1, len(h.Nodes)):] }

func (w *World) startDatacentres() error {
	for i, h := range w.cfg.Hypervisors {
		if err := w.startDatacentre(i, h.withDefaults(w.cfg.Networks)); err != nil {
			return fmt.Errorf("hypervisor %s: %w", h.URL, err)
		}
	}
	return nil
}

func (h HypervisorConfig) withDefaults(networks []NetworkConfig) HypervisorConfig {
	if len(h.Nodes) == 0 {
		h.Nodes = []string{"pve"}
	}
	h.DiskStorage = cmp.Or(h.DiskStorage, "local-lvm")
	h.ISOStorage = cmp.Or(h.ISOStorage, "local")
	h.Bridges = slices.Clone(h.Bridges)
	for _, n := range networks {
		h.Bridges = append(h.Bridges, n.bridge())
	}
	slices.Sort(h.Bridges)
	h.Bridges = slices.Compact(h.Bridges)
	return h
}

func (w *World) startDatacentre(i int, h HypervisorConfig) error {
	token := pve.Token{ID: "slipway@pve!rehearsal", Secret: uuid.NewString(), ACL: h.leastPrivilege()}
	d := &datacentre{HypervisorConfig: h, rack: w.newMachines(i, h)}
	api, err := pve.New(w.apiConfig(i, h, token, d.rack))
	if err != nil {
		return err
	}
	d.api = api
	w.later(d.close)
	if err := w.serveNodes(d); err != nil {
		return err
	}
	w.datacentres = append(w.datacentres, d)
	return w.announceDatacentre(i, d, token.ID+"="+token.Secret)
}

func (w *World) apiConfig(i int, h HypervisorConfig, token pve.Token, machines pve.Hypervisor) pve.Config {
	place := w.layout.endpoints[h.URL]
	c := pve.Config{
		Dir: w.path("pve-" + strconv.Itoa(i)), Speed: w.cfg.Speed,
		Hosts: []string{place.host, place.at.Addr().String()},
		Nodes: h.Nodes, Addresses: map[string]string{h.Nodes[0]: place.at.Addr().String()},
		Storages: h.storages(), Bridges: h.Bridges, BridgeMTU: map[string]int{}, Pools: h.pools(),
		Tokens: []pve.Token{token}, Hypervisor: machines, MemoryPerNode: h.memory(),
	}
	for j, node := range h.peers() {
		c.Addresses[node] = w.layout.peers[h.URL][j].Addr().String()
	}
	for _, n := range w.cfg.Networks {
		c.BridgeMTU[n.bridge()] = max(c.BridgeMTU[n.bridge()], n.MTU, 1500)
	}
	return c
}

// serveNodes answers at the address of each node.
func (w *World) serveNodes(d *datacentre) error {
	for i, node := range d.Nodes {
		place := w.layout.endpoints[d.URL]
		if i > 0 {
			place = endpoint{at: w.layout.peers[d.URL][i-1]}
		}
		l, err := w.listen(place)
		if err != nil {
			return fmt.Errorf("node %s: %w", node, err)
		}
		w.serve("hypervisor "+d.URL+", node "+node, func() error { return d.api.ServeNode(w.ctx, l, node) })
	}
	return nil
}

// close ends the API's tasks first, for they switch machines on.
func (d *datacentre) close() error {
	d.api.Close()
	return d.rack.close()
}

// newMachines is a rack of simulated machines, or of virtual ones.
func (w *World) newMachines(i int, h HypervisorConfig) machines {
	b := bay{url: h.URL, bridges: h.Bridges, lab: w.lab, site: w.site, speed: w.cfg.Speed}
	if w.cfg.Machines == nil {
		return newRack(b)
	}
	return newVMRack(b, w.real, w.path("vm-"+strconv.Itoa(i)))
}

func (w *World) announceDatacentre(i int, d *datacentre, token string) error {
	name := "pve-" + strconv.Itoa(i)
	e := Endpoint{
		Address: w.layout.endpoints[d.URL].at, Fingerprint: d.api.Fingerprint(),
		CA: w.path(name + "-ca.pem"), TokenFile: w.path(name + "-token"),
	}
	if err := os.WriteFile(e.CA, d.api.CA(), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(e.TokenFile, []byte(token+"\n"), 0o600); err != nil {
		return err
	}
	w.ready.Endpoints[d.URL] = e
	if i == 0 {
		w.ready.Env["SLIPWAY_PROXMOX_TOKEN"], w.ready.Env["SLIPWAY_PROXMOX_FINGERPRINT"] = token, e.Fingerprint
	}
	return nil
}

// A node has memory for all machines, wherever they are put, and for itself.
const (
	nodeMemory = 128 << 30
	ownMemory  = 16 << 30
)

func (h HypervisorConfig) memory() int64 { return max(nodeMemory, h.Room+ownMemory) }

// storages are those a fresh installation of release 9 has, under the spec's
// names.
func (h HypervisorConfig) storages() []pve.Storage {
	files := pve.Storage{Name: h.ISOStorage, Type: "dir", Content: []string{"iso", "vztmpl", "backup", "import"}, Size: 8 << 40}
	if h.ISOStorage == h.DiskStorage {
		files.Content = append(files.Content, "images")
		return []pve.Storage{files}
	}
	return []pve.Storage{files, {Name: h.DiskStorage, Type: "lvmthin", Content: []string{"images", "rootdir"}, Size: 8 << 40}}
}

func (h HypervisorConfig) pools() []string {
	if h.Pool == "" {
		return nil
	}
	return []string{h.Pool}
}

// leastPrivilege is what the documentation tells users to give the token, and
// nothing more.
func (h HypervisorConfig) leastPrivilege() []pve.ACL {
	machines := []string{
		"VM.Allocate", "VM.Audit", "VM.PowerMgmt",
		"VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Disk", "VM.Config.HWType",
		"VM.Config.Memory", "VM.Config.Network", "VM.Config.Options",
	}
	acl := []pve.ACL{
		{Path: "/storage/" + h.DiskStorage, Privileges: []string{"Datastore.AllocateSpace", "Datastore.Audit"}, Propagate: true},
		{Path: "/storage/" + h.ISOStorage, Privileges: []string{"Datastore.AllocateTemplate", "Datastore.Audit", "Datastore.Allocate"}, Propagate: true},
	}
	if h.Pool == "" {
		acl = append(acl, pve.ACL{Path: "/vms", Privileges: machines, Propagate: true})
	} else {
		acl = append(acl, pve.ACL{Path: "/pool/" + h.Pool, Privileges: append(machines, "Pool.Audit"), Propagate: true})
	}
	for _, b := range h.Bridges {
		acl = append(acl, pve.ACL{Path: "/sdn/zones/localnetwork/" + b, Privileges: []string{"SDN.Use"}, Propagate: true})
	}
	if len(h.Nodes) > 1 { // to be told their addresses
		acl = append(acl, pve.ACL{Path: "/", Privileges: []string{"Sys.Audit"}})
	}
	for _, n := range h.Nodes {
		acl = append(acl, pve.ACL{Path: "/nodes/" + n, Privileges: []string{"Sys.Audit"}, Propagate: true})
	}
	return acl
}
