package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// An object is one of the Kubernetes API. Objects in a store are never
// changed, only replaced.
type object struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Spec       json.RawMessage   `json:"spec,omitempty"`
	Status     json.RawMessage   `json:"status,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
}

type metadata struct {
	Name         string            `json:"name,omitempty"`
	GenerateName string            `json:"generateName,omitempty"`
	Namespace    string            `json:"namespace,omitempty"`
	UID          string            `json:"uid,omitempty"`
	Version      string            `json:"resourceVersion,omitempty"`
	Created      *time.Time        `json:"creationTimestamp,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// A condition is part of most objects' status.
type condition struct {
	Type       string  `json:"type"`
	Status     string  `json:"status"`
	Reason     string  `json:"reason,omitempty"`
	Message    string  `json:"message,omitempty"`
	Heartbeat  *moment `json:"lastHeartbeatTime,omitempty"`
	Update     *moment `json:"lastUpdateTime,omitempty"`
	Transition *moment `json:"lastTransitionTime,omitempty"`
}

// A moment is a time as the API writes it: RFC 3339 with whole seconds.
type moment struct{ time.Time }

func now() *moment { return &moment{time.Now()} }

// MarshalJSON writes whole seconds.
func (m moment) MarshalJSON() ([]byte, error) {
	return []byte(`"` + m.UTC().Format(time.RFC3339) + `"`), nil
}

// A resource is a kind of object and where it is in the API.
type resource struct {
	group, version, plural, kind string
	namespaced                   bool
}

var (
	nodes      = &resource{"", "v1", "nodes", "Node", false}
	configMaps = &resource{"", "v1", "configmaps", "ConfigMap", true}
	requests   = &resource{"certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", false}
	versions   = &resource{"config.openshift.io", "v1", "clusterversions", "ClusterVersion", false}
	operators  = &resource{"config.openshift.io", "v1", "clusteroperators", "ClusterOperator", false}
	routes     = &resource{"route.openshift.io", "v1", "routes", "Route", true}
	resources  = []*resource{nodes, configMaps, requests, versions, operators, routes}

	// factsOf is what control plane hosts tell each other; no API has it.
	factsOf = &resource{"", "", "facts", "Facts", false}
)

func (r *resource) apiVersion() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

// qualified is the resource's name in error texts: nodes, routes.route.openshift.io.
func (r *resource) qualified() string {
	if r.group == "" {
		return r.plural
	}
	return r.plural + "." + r.group
}

// A store is the API server's view of an etcd. It is safe for concurrent use.
type store struct{ etcd }

func key(m metadata) string { return m.Namespace + "/" + m.Name }

// in returns the objects of a namespace in name order, "" is all, and the
// revision of the store.
func (s store) in(r *resource, namespace string) (list []object, revision string) {
	objects, revision := s.list(r)
	for _, o := range objects {
		if namespace == "" || o.Metadata.Namespace == namespace {
			list = append(list, o)
		}
	}
	return list, revision
}

// all returns the objects of a resource.
func (s store) all(r *resource) []object {
	objects, _ := s.list(r)
	return objects
}

// create adds an object; ok is false when its name is taken.
func (s store) create(r *resource, o object) (created object, ok bool) { return s.swap(r, o, "") }

// put adds or replaces an object.
func (s store) put(r *resource, o object) object {
	for {
		old, _ := s.get(r, o.Metadata.Namespace, o.Metadata.Name)
		if written, ok := s.swap(r, o, old.Metadata.Version); ok {
			return written
		}
	}
}

// change replaces an object by what edit makes of it. An error of edit leaves
// it as it is; ok is false when there is no such object. Where another host
// changes it at the same time, edit is called again.
func (s store) change(r *resource, namespace, name string, edit func(*object) error) (o object, ok bool, err error) {
	for {
		if o, ok = s.get(r, namespace, name); !ok {
			return o, false, nil
		}
		was := o.Metadata.Version
		if err := edit(&o); err != nil {
			return o, true, err
		}
		if written, ok := s.swap(r, o, was); ok {
			return written, true, nil
		}
	}
}

// raw encodes what is known to encode: our own types.
func raw(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("bug: encode %T: %v", v, err))
	}
	return data
}

// parse decodes part of an object; what does not fit stays zero.
func parse[T any](data json.RawMessage) (v T) {
	json.Unmarshal(data, &v)
	return v
}

// transition sets a condition; its time changes only with its status.
func transition(list []condition, c condition) []condition {
	c.Transition = now()
	list = slices.Clone(list)
	i := slices.IndexFunc(list, func(o condition) bool { return o.Type == c.Type })
	if i < 0 {
		return append(list, c)
	}
	if list[i].Status == c.Status {
		c.Transition = list[i].Transition
	}
	list[i] = c
	return list
}

// isTrue reports whether a condition is True.
func isTrue(list []condition, kind string) bool {
	return slices.ContainsFunc(list, func(c condition) bool { return c.Type == kind && c.Status == "True" })
}
