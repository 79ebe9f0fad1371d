package pve

import (
	"cmp"
	"slices"
	"time"

	"github.com/slipway-project/slipway/internal/pace"
)

// A Config describes the simulated datacentre. Only Dir, Storages and Tokens
// have no useful default.
type Config struct {
	Dir           string            // storage directories and spooled uploads live below it
	Speed         pace.Pace         // divides every duration
	Version       string            // pve-manager version, default "9.1.4"
	Hosts         []string          // names and addresses the first node's certificate is valid for
	Nodes         []string          // default "pve"
	Addresses     map[string]string // of nodes; default: of what they listen on
	Storages      []Storage
	Bridges       []string            // on every node, default "vmbr0"
	NodeBridges   map[string][]string // of nodes that have others
	BridgeMTU     map[string]int      // default: any fits
	VNets         []VNet              // of SDN
	Pools         []string            // nested ones as "parent/child"
	Tokens        []Token
	Users         []User              // whose rights bound those of their tokens
	Groups        []Group             // of users
	Roles         map[string][]string // privileges by role, besides the built-in ones
	Tags          TagPolicy
	NextID        IDRange
	Hypervisor    Hypervisor // nil: power changes reach nobody
	MemoryPerNode int64      // bytes, default 128 GiB
	CPUsPerNode   int        // threads, default 32
	Durations     Durations
	Seed          uint64  // of the jitter
	Jitter        float64 // tasks take up to this fraction more or less; 0: none
	Faults        []Fault // what goes wrong from the beginning
	// OnRequest, when set, sees every routed request after its parameters
	// were read and before they are checked: the method, the path template
	// ("/nodes/{node}/qemu") and all parameters, those of the path included.
	// It is called concurrently.
	OnRequest func(method, template string, params map[string]string)
}

// Durations are real-time durations of a server with ordinary disks; zero
// values stand for the defaults.
type Durations struct {
	Request      time.Duration // every API call holds a worker that long: 10 ms
	SlowRequest  time.Duration // one in a hundred: as the others
	Create       time.Duration // qmcreate without its disks: 1.5 s
	Allocate     time.Duration // one volume, serialised per storage: 400 ms
	Start        time.Duration // 2 s
	Stop         time.Duration // 1 s
	Destroy      time.Duration // 1.5 s
	CopyPerGiB   time.Duration // imgcopy and download: 2 s
	DeleteImage  time.Duration // 300 ms
	Stats        time.Duration // age of power states in /cluster/resources: up to 10 s
	LockTimeout  time.Duration // 10 s
	Agent        time.Duration // call to a guest agent that does not answer: 3 s
	Unauthorized time.Duration // answer to a wrong token: 3 s
}

func (d Durations) withDefaults() Durations {
	return Durations{
		Request:      cmp.Or(d.Request, 10*time.Millisecond),
		SlowRequest:  cmp.Or(d.SlowRequest, d.Request, 10*time.Millisecond),
		Create:       cmp.Or(d.Create, 1500*time.Millisecond),
		Allocate:     cmp.Or(d.Allocate, 400*time.Millisecond),
		Start:        cmp.Or(d.Start, 2*time.Second),
		Stop:         cmp.Or(d.Stop, time.Second),
		Destroy:      cmp.Or(d.Destroy, 1500*time.Millisecond),
		CopyPerGiB:   cmp.Or(d.CopyPerGiB, 2*time.Second),
		DeleteImage:  cmp.Or(d.DeleteImage, 300*time.Millisecond),
		Stats:        cmp.Or(d.Stats, 10*time.Second),
		LockTimeout:  cmp.Or(d.LockTimeout, 10*time.Second),
		Agent:        cmp.Or(d.Agent, 3*time.Second),
		Unauthorized: cmp.Or(d.Unauthorized, 3*time.Second),
	}
}

func (c Config) withDefaults() (Config, error) {
	c.Version = cmp.Or(c.Version, "9.1.4")
	if len(c.Nodes) == 0 {
		c.Nodes = []string{"pve"}
	}
	if len(c.Bridges) == 0 {
		c.Bridges = []string{"vmbr0"}
	}
	if c.Hypervisor == nil {
		c.Hypervisor = nobody{}
	}
	c.MemoryPerNode = cmp.Or(c.MemoryPerNode, 128<<30)
	c.CPUsPerNode = cmp.Or(c.CPUsPerNode, 32)
	c.Durations = c.Durations.withDefaults()
	c.Storages = slices.Clone(c.Storages)
	for i, store := range c.Storages {
		var err error
		if c.Storages[i], err = store.withDefaults(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// nobody is the hypervisor of a datacentre in which nothing really boots.
type nobody struct{}

func (nobody) PowerOn(VM) error  { return nil }
func (nobody) PowerOff(int)      {}
func (nobody) Media(int, string) {}
func (nobody) Destroy(int)       {}
