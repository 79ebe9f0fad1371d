package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
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

// A store is the content of a cluster's etcd. It is safe for concurrent use.
type store struct {
	mu      sync.Mutex
	version int64
	objects map[*resource]map[string]object // by namespace/name
}

func newStore() *store { return &store{objects: map[*resource]map[string]object{}} }

func key(m metadata) string { return m.Namespace + "/" + m.Name }

// get returns an object; ok is false when there is none.
func (s *store) get(r *resource, namespace, name string) (o object, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok = s.objects[r][namespace+"/"+name]
	return o, ok
}

// list returns the objects of a namespace in name order; "" is all.
func (s *store) list(r *resource, namespace string) []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []object
	for _, o := range s.objects[r] {
		if namespace == "" || o.Metadata.Namespace == namespace {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b object) int { return strings.Compare(key(a.Metadata), key(b.Metadata)) })
	return list
}

// revision is the version of the last change.
func (s *store) revision() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strconv.FormatInt(s.version, 10)
}

// create adds an object; ok is false when its name is taken.
func (s *store) create(r *resource, o object) (created object, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.objects[r][key(o.Metadata)]; taken {
		return o, false
	}
	return s.write(r, o), true
}

// put adds or replaces an object.
func (s *store) put(r *resource, o object) object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(r, o)
}

func (s *store) write(r *resource, o object) object {
	old, known := s.objects[r][key(o.Metadata)]
	if known {
		o.Metadata.UID, o.Metadata.Created = old.Metadata.UID, old.Metadata.Created
	} else {
		created := time.Now().UTC().Truncate(time.Second)
		o.Metadata.UID, o.Metadata.Created = uuid.NewString(), &created
	}
	s.version++
	o.APIVersion, o.Kind, o.Metadata.Version = r.apiVersion(), r.kind, strconv.FormatInt(s.version, 10)
	if s.objects[r] == nil {
		s.objects[r] = map[string]object{}
	}
	s.objects[r][key(o.Metadata)] = o
	return o
}

// change replaces an object by what edit makes of it. An error of edit leaves
// it as it is; ok is false when there is no such object.
func (s *store) change(r *resource, namespace, name string, edit func(*object) error) (o object, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok = s.objects[r][namespace+"/"+name]
	if !ok {
		return o, false, nil
	}
	if err := edit(&o); err != nil {
		return o, true, err
	}
	return s.write(r, o), true, nil
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
