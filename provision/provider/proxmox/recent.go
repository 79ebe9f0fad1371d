package proxmox

import (
	"strconv"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/provision/provider"
)

// soon is how long what was read of a machine that this process has made
// still counts: between reading a mark and acting on it there is always a
// moment, and no machine is destroyed and its VMID taken anew in two seconds.
const soon = 2 * time.Second

// recent remembers the machines that this process has made a moment ago, so
// that what follows at once (the image, the start) need not read their marks
// again. It is never asked before something is destroyed.
type recent struct {
	pace pace.Pace
	mu   sync.Mutex
	of   map[int]recently
}

type recently struct {
	vm vm
	at time.Time
}

func (r *recent) keep(v vm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = make(map[int]recently)
	}
	r.of[v.id] = recently{v, time.Now()}
}

// refresh keeps what was read again of a machine that is remembered.
func (r *recent) refresh(v vm) {
	r.mu.Lock()
	_, known := r.of[v.id]
	r.mu.Unlock()
	if known {
		r.keep(v)
	}
}

func (r *recent) forget(v vm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, v.id)
}

// get returns m's virtual machine when its mark was read a moment ago.
func (r *recent) get(m provider.Machine) (vm, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	vmid, _ := strconv.Atoi(m.ID)
	known, ok := r.of[vmid]
	if !ok || time.Since(known.at) > r.pace.Scale(soon) {
		delete(r.of, vmid)
		return vm{}, false
	}
	return known.vm, known.vm.node == m.Place && known.vm.belongsTo(m)
}
