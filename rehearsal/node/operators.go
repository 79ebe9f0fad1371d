package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// operatorNames are the cluster operators of a release in the order in which
// they settle here: what needs a router comes last.
var operatorNames = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "config-operator", "cloud-credential",
	"cloud-controller-manager", "network", "dns", "machine-config", "machine-approver", "machine-api", "control-plane-machine-set",
	"cluster-autoscaler", "baremetal", "service-ca", "openshift-apiserver", "openshift-controller-manager", "kube-storage-version-migrator",
	"csi-snapshot-controller", "storage", "node-tuning", "openshift-samples", "marketplace", "operator-lifecycle-manager",
	"operator-lifecycle-manager-catalog", "operator-lifecycle-manager-packageserver", "insights",
	"image-registry", "ingress", "monitoring", "authentication", "console",
}

var needRouter = []string{"image-registry", "ingress", "monitoring", "authentication", "console"}

type operatorStatus struct {
	Conditions []condition       `json:"conditions"`
	Versions   []operandVersion  `json:"versions,omitempty"`
	Desired    *operandVersion   `json:"desired,omitempty"` // ClusterVersion only
	History    []versionProgress `json:"history,omitempty"` // ClusterVersion only
}

type operandVersion struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version"`
	Image   string `json:"image,omitempty"`
}

type versionProgress struct {
	State   string  `json:"state"`
	Version string  `json:"version"`
	Started *moment `json:"startedTime"`
}

// announceOperators is the cluster version operator's first act.
func (c *cluster) announceOperators() {
	for _, name := range operatorNames {
		c.setOperator(name, false, "Progressing towards "+c.bundle.Release)
	}
	c.setVersion(false, fmt.Sprintf("Working towards %s", c.bundle.Release))
	c.store.put(configMaps, object{Metadata: metadata{Name: "bootstrap", Namespace: "kube-system"}, Data: map[string]string{"status": "progressing"}})
}

func (c *cluster) setOperator(name string, available bool, message string) {
	old, _ := c.store.get(operators, "", name)
	status := parse[operatorStatus](old.Status)
	status.Conditions = settle(status.Conditions, available, message)
	if available {
		status.Versions = []operandVersion{{Name: "operator", Version: c.bundle.Release}}
	}
	c.store.put(operators, object{Metadata: metadata{Name: name}, Spec: json.RawMessage("{}"), Status: raw(status)})
}

// settle sets the conditions that say how far an operator has come.
func settle(list []condition, available bool, message string) []condition {
	yes, no := "True", "False"
	reason := "AsExpected"
	if !available {
		yes, no, reason = no, yes, "RolloutInProgress"
	}
	list = transition(list, condition{Type: "Available", Status: yes, Reason: reason, Message: message})
	list = transition(list, condition{Type: "Progressing", Status: no, Reason: reason, Message: message})
	return transition(list, condition{Type: "Degraded", Status: "False", Reason: "AsExpected"})
}

func (c *cluster) setVersion(available bool, message string) {
	release := c.bundle.Release
	old, _ := c.store.get(versions, "", "version")
	status := parse[operatorStatus](old.Status)
	status.Conditions = settle(status.Conditions, available, message)
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c condition) bool { return c.Type == "Degraded" })
	status.Conditions = transition(status.Conditions, condition{Type: "Failing", Status: "False"})
	status.Desired = &operandVersion{Version: release, Image: "quay.io/openshift-release-dev/ocp-release:" + release + "-x86_64"}
	progress := versionProgress{"Partial", release, now()}
	if len(status.History) > 0 {
		progress.Started = status.History[0].Started
	}
	if available {
		progress.State = "Completed"
	}
	status.History = []versionProgress{progress}
	spec := raw(map[string]string{"channel": "stable-4", "clusterID": c.bundle.ClusterID})
	c.store.put(versions, object{Metadata: metadata{Name: "version"}, Spec: spec, Status: raw(status)})
}

func (c *cluster) available(r *resource, name string) bool {
	o, ok := c.store.get(r, "", name)
	return ok && isAvailable(o)
}

func isAvailable(o object) bool {
	return isTrue(parse[operatorStatus](o.Status).Conditions, "Available")
}

// runOperators rolls the operators out one after another, on the host that
// leads, until all of them are.
func (i *installed) runOperators(context.Context) {
	for done := false; !done && i.sleep(operatorTime) == nil; {
		if i.cluster.leads(i.member.HostID) && i.cluster.quorum() == nil {
			done = i.cluster.rollOut()
		}
	}
}

// rollOut takes the next step, if there is one and nothing is in its way. It
// reports whether there will be none.
func (c *cluster) rollOut() (done bool) {
	settled := map[string]bool{}
	for _, o := range c.store.all(operators) {
		settled[o.Metadata.Name] = isAvailable(o)
	}
	n := slices.IndexFunc(operatorNames, func(name string) bool { return !settled[name] })
	if n < 0 {
		if !c.available(versions, "version") {
			c.setVersion(true, "Done applying "+c.bundle.Release)
		}
		return true
	}
	name := operatorNames[n]
	if err := c.blocked(name); err != nil {
		c.setOperator(name, false, err.Error())
		c.setVersion(false, fmt.Sprintf("Working towards %s: waiting on %s: %v", c.bundle.Release, name, err))
		return false
	}
	if name == "console" {
		c.admitConsole()
	}
	c.setOperator(name, true, "All is well")
	c.setVersion(false, fmt.Sprintf("Working towards %s: %d of %d done", c.bundle.Release, n+1, len(operatorNames)))
	return false
}

func (c *cluster) blocked(name string) error {
	if slices.Contains(needRouter, name) {
		return c.wantRouter()
	}
	return c.wantMasters()
}

func (c *cluster) admitConsole() {
	host := c.consoleHost()
	type route = map[string]any
	admitted := route{"host": host, "routerName": "default", "conditions": []condition{{Type: "Admitted", Status: "True", Transition: now()}}}
	c.store.put(routes, object{
		Metadata: metadata{Name: "console", Namespace: "openshift-console"},
		Spec:     raw(route{"host": host, "to": route{"kind": "Service", "name": "console"}, "tls": route{"termination": "reencrypt", "insecureEdgeTerminationPolicy": "Redirect"}}),
		Status:   raw(route{"ingress": []route{admitted}}),
	})
}
