package providertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/provision/provider"
)

// A World is a simulated datacentre with the provider under test in front of
// it. The functions other than Open ask or change the world itself, behind
// the provider's back.
type World struct {
	// Open returns a provider that has seen nothing yet, as after a crash.
	Open func() provider.Provider
	// Machines lists the ids of all machines there are.
	Machines func() []string
	// Running reports whether the machine with that id is switched on.
	Running func(id string) bool
	// AddForeign makes a running machine under m's id and place, with m's
	// name, that carries no mark.
	AddForeign func(m provider.Machine)
	// LoseCreateReply drops the connection under the next call that creates a
	// machine, after the world has received it. carriedOut says whether the
	// world acts on it all the same.
	LoseCreateReply func(carriedOut bool)
}

// limit bounds each test; simulators run at a multiple of real time.
const limit = time.Minute

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("test took longer than %s", limit))
	t.Cleanup(cancel)
	return ctx
}

// mark is the owner of the machines of the suite.
var mark = provider.Mark{Cluster: "mycluster.lab.test", ID: "0f8fad5b"}

// other is a cluster whose name begins alike.
var other = provider.Mark{Cluster: "mycluster.lab.test-b.test", ID: "7c9e6679"}

func machine(owner provider.Mark, i int) provider.Machine {
	node := fmt.Sprintf("control-%d", i)
	name := node + "." + owner.Cluster
	sum := sha256.Sum256([]byte(name))
	return provider.Machine{
		Node: node, Name: name, Mark: owner,
		UUID: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)),
		NICs: []provider.NIC{
			{MAC: append(net.HardwareAddr{2}, sum[:5]...), Bridge: "vmbr0", VLAN: 40},
			{MAC: append(net.HardwareAddr{6}, sum[:5]...), Bridge: "vmbr0", MTU: 9000},
		},
		CPUs: 4, Memory: 16384, Disk: 100, Disks: []int{20, 30}, Tags: []string{"mycluster"},
	}
}

// allocated completes m where the provider chooses ids beforehand.
func allocated(t *testing.T, p provider.Provider, m provider.Machine, avoid ...string) provider.Machine {
	t.Helper()
	a, ok := p.(provider.Allocator)
	if !ok {
		return m
	}
	m, err := a.Allocate(deadline(t), m, avoid)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ensured(t *testing.T, p provider.Provider, m provider.Machine) provider.Machine {
	t.Helper()
	got, err := p.Ensure(deadline(t), allocated(t, p, m))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func found(t *testing.T, p provider.Provider, owner provider.Mark) []provider.Machine {
	t.Helper()
	got, err := p.Find(deadline(t), owner)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func release(t *testing.T, p provider.Provider, m provider.Machine) {
	t.Helper()
	if err := p.Release(deadline(t), m); err != nil {
		t.Fatal(err)
	}
}

// image writes an image of some kilobytes that belongs to owner.
func image(t *testing.T, owner provider.Mark) provider.Image {
	t.Helper()
	content := make([]byte, 300_000)
	copy(content, owner.Cluster)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	path := filepath.Join(t.TempDir(), "image.iso")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("slipway-%s-%s.iso", owner.Cluster, digest[:12])
	return provider.Image{Name: name, Path: path, Size: int64(len(content)), SHA256: digest}
}
