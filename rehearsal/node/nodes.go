package node

import (
	"fmt"
	"net/netip"
	"time"
)

type nodeStatus struct {
	Conditions []condition       `json:"conditions,omitempty"`
	Addresses  []nodeAddress     `json:"addresses,omitempty"`
	Capacity   map[string]string `json:"capacity,omitempty"`
	Info       nodeInfo          `json:"nodeInfo"`
}

type nodeAddress struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

type nodeInfo struct {
	MachineID  string `json:"machineID"`
	SystemUUID string `json:"systemUUID"`
	BootID     string `json:"bootID"`
	Kernel     string `json:"kernelVersion"`
	OSImage    string `json:"osImage"`
	Kubelet    string `json:"kubeletVersion"`
	OS         string `json:"operatingSystem"`
	Arch       string `json:"architecture"`
}

// newNode is the node that the kubelet registers.
func (i *installed) newNode(ready bool) object {
	labels := map[string]string{
		"kubernetes.io/hostname": i.name(), "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
		"node.openshift.io/os_id": "rhcos",
	}
	for _, role := range i.cluster.roles(i.member) {
		labels["node-role.kubernetes.io/"+role] = ""
	}
	return object{
		APIVersion: nodes.apiVersion(), Kind: nodes.kind,
		Metadata: metadata{Name: i.name(), Labels: labels}, Status: raw(i.nodeStatus(ready)),
	}
}

// roles of a node: control plane nodes work too where nobody else does.
func (c *cluster) roles(m Member) []string {
	switch {
	case m.Role != "master":
		return []string{"worker"}
	case c.schedulable():
		return []string{"control-plane", "master", "worker"}
	}
	return []string{"control-plane", "master"}
}

// nodeStatus is what the kubelet says of its node.
func (s *system) nodeStatus(ready bool) nodeStatus {
	at := now()
	c := condition{Type: "Ready", Status: "False", Reason: "KubeletNotReady", Heartbeat: at,
		Message: "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: no CNI configuration file in /etc/kubernetes/cni/net.d/. Has your network provider started?"}
	if ready {
		c.Status, c.Reason, c.Message = "True", "KubeletReady", "kubelet is posting ready status"
	}
	return nodeStatus{
		Conditions: []condition{c}, Addresses: nodeAddresses(s.name(), s.net.addrs()),
		Capacity: map[string]string{"cpu": fmt.Sprint(s.host.hw.CPUs), "memory": fmt.Sprintf("%dKi", s.host.hw.Memory<<10), "pods": "250"},
		Info: nodeInfo{s.machineID, s.host.hw.UUID.String(), s.bootID, kernel, "Red Hat Enterprise Linux CoreOS " + s.release,
			"v1.33.5", "linux", "amd64"},
	}
}

func nodeAddresses(name string, addrs []netip.Addr) []nodeAddress {
	var list []nodeAddress
	for _, a := range addrs {
		list = append(list, nodeAddress{"InternalIP", a.String()})
	}
	return append(list, nodeAddress{"Hostname", name})
}

func nodeReady(o object) bool { return isTrue(parse[nodeStatus](o.Status).Conditions, "Ready") }

// wantReady is an error until n nodes with a role are Ready.
func wantReady(list []object, role string, n int) error {
	ready := 0
	for _, o := range list {
		if _, has := o.Metadata.Labels["node-role.kubernetes.io/"+role]; has && nodeReady(o) {
			ready++
		}
	}
	if ready < n {
		return fmt.Errorf("%d of %d nodes with the role %s are ready", ready, n, role)
	}
	return nil
}

// expireNodes does what the node lifecycle controller does: a node whose
// kubelet is silent for longer than grace is in an unknown state.
func (c *cluster) expireNodes(grace time.Duration) {
	for _, o := range c.store.all(nodes) {
		if expire(&o, grace) != nil {
			continue
		}
		c.store.change(nodes, "", o.Metadata.Name, func(o *object) error { return expire(o, grace) })
	}
}

// expire is errUnchanged for a node that is not silent, or known to be.
func expire(o *object, grace time.Duration) error {
	status := parse[nodeStatus](o.Status)
	for _, ready := range status.Conditions {
		if ready.Type == "Ready" && ready.Status != "Unknown" && ready.Heartbeat != nil && time.Since(ready.Heartbeat.Time) > grace {
			ready.Status, ready.Reason, ready.Message = "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."
			status.Conditions = transition(status.Conditions, ready)
			o.Status = raw(status)
			return nil
		}
	}
	return errUnchanged
}

// errUnchanged ends a change that changes nothing.
var errUnchanged = fmt.Errorf("unchanged")
