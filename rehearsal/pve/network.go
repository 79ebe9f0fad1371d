package pve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A VNet is a network of SDN: every node has a bridge of its name, and its
// zone has the rights to it.
type VNet struct{ Name, Zone string }

var networkParams = schema{"node": nodeParam, "type": text.opt().of("bridge", "bond", "eth", "alias", "vlan",
	"OVSBridge", "OVSBond", "OVSPort", "OVSIntPort", "vnet", "any_bridge", "any_local_bridge")}

// bridges are those of a node itself.
func (s *Server) bridges(node string) []string {
	if own, ok := s.cfg.NodeBridges[node]; ok {
		return own
	}
	return s.cfg.Bridges
}

// hasBridge says whether a network device can be plugged into it there.
func (s *Server) hasBridge(node, bridge string) bool {
	return slices.Contains(s.bridges(node), bridge) || s.zone(bridge) != localZone
}

// localZone is the zone of what is no VNet.
const localZone = "localnetwork"

func (s *Server) zone(bridge string) string {
	for _, v := range s.cfg.VNets {
		if v.Name == bridge {
			return v.Zone
		}
	}
	return localZone
}

// getNetwork lists the bridges of the node, and the VNets where these are
// asked for; other interfaces do not exist here. Who may neither use nor audit
// one does not see it.
func getNetwork(c *call) (any, error) {
	s, kind := c.srv, c.params["type"]
	list := []map[string]any{}
	if slices.Contains([]string{"", "bridge", "any_bridge", "any_local_bridge", "include_sdn"}, kind) {
		for i, bridge := range s.bridges(c.node) {
			if s.maySeeBridge(c.token, localZone, bridge) {
				list = append(list, s.describeBridge(bridge, i+1))
			}
		}
	}
	if slices.Contains([]string{"vnet", "any_bridge", "include_sdn"}, kind) {
		for _, v := range s.cfg.VNets {
			if s.maySeeBridge(c.token, v.Zone, v.Name) {
				list = append(list, map[string]any{"iface": v.Name, "type": "vnet", "active": 1})
			}
		}
	}
	return list, nil
}

func (s *Server) describeBridge(bridge string, priority int) map[string]any {
	entry := map[string]any{"iface": bridge, "type": "bridge", "active": 1, "autostart": 1, "priority": priority,
		"bridge_ports": "", "method": "manual", "method6": "manual", "families": []string{"inet"}}
	if mtu, ok := s.cfg.BridgeMTU[bridge]; ok {
		entry["mtu"] = strconv.Itoa(mtu) // as it stands in /etc/network/interfaces
	}
	return entry
}

var vnetParams = schema{"pending": boolean.opt(), "running": boolean.opt()}

// getVNets lists the VNets that the token may audit or change; that it may
// use one does not show it here.
func getVNets(c *call) (any, error) {
	list := []map[string]any{}
	for _, v := range c.srv.cfg.VNets {
		if c.srv.checkAny(c.token, "/sdn/zones/"+v.Zone+"/"+v.Name, "SDN.Audit", "SDN.Allocate") == nil {
			list = append(list, map[string]any{"vnet": v.Name, "zone": v.Zone, "type": "vnet", "digest": strings.Repeat("0", 40)})
		}
	}
	return list, nil
}

// maySeeBridge is satisfied by rights to any VLAN of the bridge.
func (s *Server) maySeeBridge(t *Token, zone, bridge string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := "/sdn/zones/" + zone + "/" + bridge
	may := func(p string) bool { return s.allowedLocked(t, p, "SDN.Audit") || s.allowedLocked(t, p, "SDN.Use") }
	for vlan := range s.accounts.acl {
		if strings.HasPrefix(vlan, p+"/") && may(vlan) {
			return true
		}
	}
	return may(p)
}

// mayPlug asks for the right to what a network device is plugged into.
func (s *Server) mayPlug(c *call, keys map[string]string) error {
	bridge := keys["bridge"]
	if bridge == "" || s.release.before(8, 0) { // SDN.Use came with 8.0
		return nil
	}
	p := "/sdn/zones/" + s.zone(bridge) + "/" + bridge
	tags := expandTrunks(keys["trunks"])
	if keys["tag"] != "" {
		tags = append([]string{keys["tag"]}, tags...)
	}
	if len(tags) == 0 {
		return s.check(c.token, p, "SDN.Use")
	}
	for _, tag := range tags {
		if err := s.check(c.token, p+"/"+tag, "SDN.Use"); err != nil {
			return err
		}
	}
	return nil
}

// expandTrunks turns "2-4;7" into the VLANs it means.
func expandTrunks(trunks string) (tags []string) {
	for part := range strings.SplitSeq(trunks, ";") {
		low, high, isRange := strings.Cut(part, "-")
		from, err := strconv.Atoi(low)
		if err != nil {
			continue
		}
		to := from
		if isRange {
			to, _ = strconv.Atoi(high)
		}
		for tag := from; tag <= min(to, 4094); tag++ {
			tags = append(tags, strconv.Itoa(tag))
		}
	}
	return tags
}

// anyMTU is that of a bridge about which the configuration says nothing.
const anyMTU = 65520

// pluggable says what keeps network devices from working when the VM starts.
// The caller holds s.mu.
func (s *Server) pluggable(m *machine) error {
	for i := range 32 {
		name := fmt.Sprintf("net%d", i)
		keys, err := netKeys.parse(name, m.conf[name])
		if err != nil || keys["bridge"] == "" {
			continue
		}
		if !s.hasBridge(m.node, keys["bridge"]) {
			return die("bridge '%s' does not exist", keys["bridge"])
		}
		mtu, err := strconv.Atoi(keys["mtu"])
		switch limit := s.mtu(keys["bridge"]); {
		case err != nil || keys["model"] != "virtio" || mtu == 1:
		case mtu < 576:
			return die("netdev %s: MTU '%d' is smaller than the IP minimum MTU '576'", name, mtu)
		case mtu > limit:
			return die("netdev %s: MTU '%d' is bigger than the bridge MTU '%d' - adjust the MTU for the network device in the VM"+
				" configuration, while ensuring that the bridge is configured as desired.", name, mtu, limit)
		}
	}
	return nil
}

func (s *Server) mtu(bridge string) int {
	if mtu, ok := s.cfg.BridgeMTU[bridge]; ok {
		return mtu
	}
	return anyMTU
}
