package node

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// An etcd keeps the objects of one installation of a cluster. Its control
// plane hosts share it: in one process, or over a [Wire].
type etcd interface {
	// get returns an object; ok is false when there is none.
	get(r *resource, namespace, name string) (o object, ok bool)
	// list returns all objects of a resource in the order of their keys, and
	// the revision of the whole etcd.
	list(r *resource) (objects []object, revision string)
	// swap writes o in place of the object of that name whose version is was,
	// "" for none. ok is false, and nothing changes, when there is another.
	swap(r *resource, o object, was string) (written object, ok bool)
}

// A memory is an etcd in this process. It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex
	version int64
	objects map[*resource]map[string]object // by namespace/name
}

func newMemory() *memory { return &memory{objects: map[*resource]map[string]object{}} }

func (m *memory) get(r *resource, namespace, name string) (o object, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok = m.objects[r][namespace+"/"+name]
	return o, ok
}

func (m *memory) list(r *resource) (objects []object, revision string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.objects[r] {
		objects = append(objects, o)
	}
	slices.SortFunc(objects, func(a, b object) int { return strings.Compare(key(a.Metadata), key(b.Metadata)) })
	return objects, strconv.FormatInt(m.version, 10)
}

func (m *memory) swap(r *resource, o object, was string) (written object, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, known := m.objects[r][key(o.Metadata)]
	if old.Metadata.Version != was {
		return old, false
	}
	if known {
		o.Metadata.UID, o.Metadata.Created = old.Metadata.UID, old.Metadata.Created
	} else {
		created := time.Now().UTC().Truncate(time.Second)
		o.Metadata.UID, o.Metadata.Created = uuid.NewString(), &created
	}
	m.version++
	o.APIVersion, o.Kind, o.Metadata.Version = r.apiVersion(), r.kind, strconv.FormatInt(m.version, 10)
	if m.objects[r] == nil {
		m.objects[r] = map[string]object{}
	}
	m.objects[r][key(o.Metadata)] = o
	return o, true
}
