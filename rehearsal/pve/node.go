package pve

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
)

// A host is one node of the cluster: a machine with an address and a
// certificate of its own, on which tasks and VMs run.
type host struct {
	name  string
	id    int           // in the cluster's configuration, from 1
	slots chan struct{} // full while all workers are busy
	gate  gate

	// guarded by Server.mu
	address string
	cert    tls.Certificate
	offline bool
}

func (s *Server) addHosts() error {
	for i, name := range s.cfg.Nodes {
		names := []string{name}
		if i == 0 {
			names = append(names, s.cfg.Hosts...)
		}
		if a := s.cfg.Addresses[name]; a != "" {
			names = append(names, a)
		}
		h := &host{name: name, id: i + 1, slots: make(chan struct{}, workers), address: s.cfg.Addresses[name]}
		s.hosts[name] = h
		var err error
		if h.cert, err = s.certs.issue(names); err != nil {
			return fmt.Errorf("make certificate of node %s: %w", name, err)
		}
	}
	return nil
}

// learnAddress takes the listener's address for that of the node, where the
// configuration names none. A certificate that lacks it is made again, for
// clients that know the authority only.
func (s *Server) learnAddress(h *host, l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := l.Addr().(*net.TCPAddr)
	if h.address != "" || !ok || at.IP.IsUnspecified() {
		return nil // known, or a listener that does not say
	}
	h.address = at.IP.String()
	if h.id == 1 {
		return nil // Config.Hosts says what its certificate is for
	}
	cert, err := s.certs.issue([]string{h.name, h.address})
	if err == nil {
		h.cert = cert
	}
	return err
}

// online says whether a node takes part in the cluster. The caller holds
// s.mu.
func (s *Server) online(node string) bool { return s.hosts[node] != nil && !s.hosts[node].offline }

func (s *Server) isOnline(node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.online(node)
}

// quorate says whether more than half of the nodes are there. The caller
// holds s.mu.
func (s *Server) quorate() bool {
	n := 0
	for _, node := range s.cfg.Nodes {
		n += bit(s.online(node))
	}
	return 2*n > len(s.cfg.Nodes)
}

// needQuorum is the error of changes while the cluster has no majority.
func (s *Server) needQuorum() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.quorate() {
		return die("cluster not ready - no quorum?")
	}
	return nil
}

// SetOffline takes a node away as a power failure does, or brings it back:
// its connections and tasks end, its VMs stop, and requests for it that
// arrive at another node are answered with 595. A VM stays stopped until
// somebody starts it, onboot or not.
func (s *Server) SetOffline(node string, offline bool) error {
	h := s.hosts[node]
	if h == nil {
		return fmt.Errorf("node %s does not exist", node)
	}
	s.mu.Lock()
	h.offline = offline
	var stopped []int
	for id, m := range s.vms {
		if offline && m.node == node && m.running {
			s.publish(m)
			m.running = false
			stopped = append(stopped, id)
		}
	}
	if offline {
		s.killTasks(node)
	}
	s.mu.Unlock()
	slices.Sort(stopped)
	for _, id := range stopped {
		s.cfg.Hypervisor.PowerOff(id)
	}
	if offline {
		h.gate.shut()
	} else {
		h.gate.open()
	}
	return nil
}

// proxied is the error of a request that another node was to answer, nil when
// that node is there.
func (s *Server) proxied(entry, node string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if node != entry && !s.online(node) {
		return refuse(statusConnect, "No route to host")
	}
	return nil
}

// Status codes of AnyEvent::HTTP, which a node passes on when it cannot reach
// the one that it asks for its client.
const (
	statusConnect   = 595 // no connection
	statusTransfer  = 596 // connection lost before the answer
	statusRetryable = 599 // and everything else
)

func getClusterStatus(c *call) (any, error) {
	s := c.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []map[string]any{}
	if len(s.cfg.Nodes) > 1 {
		list = append(list, map[string]any{"type": "cluster", "id": "cluster", "name": "rehearsal", "version": len(s.cfg.Nodes),
			"nodes": len(s.cfg.Nodes), "quorate": bit(s.quorate())})
	}
	for _, node := range s.cfg.Nodes {
		h := s.hosts[node]
		entry := map[string]any{"type": "node", "id": "node/" + node, "name": node, "level": "", "online": bit(!h.offline), "local": bit(node == c.entry)}
		entry["nodeid"] = h.id
		if len(s.cfg.Nodes) == 1 {
			entry["nodeid"] = 0 // no cluster was ever made
		}
		if h.address != "" {
			entry["ip"] = h.address
		}
		list = append(list, entry)
	}
	return list, nil
}

func getNodeTime(c *call) (any, error) {
	now := c.srv.now()
	_, offset := now.Zone()
	return map[string]any{"timezone": "Etc/UTC", "time": now.Unix(), "localtime": now.Unix() + int64(offset)}, nil
}

func getNodeVersion(c *call) (any, error) {
	r := c.srv.release
	return map[string]any{"version": c.srv.cfg.Version, "repoid": "0123456789abcdef", "release": strconv.Itoa(r.major) + "." + strconv.Itoa(r.minor)}, nil
}
