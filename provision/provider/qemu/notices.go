package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/provision/provider"
)

var _ provider.Noticer = (*Provider)(nil)

// Notices are what the supervisor has met with machines of owner, and what
// goes on in their private network that should not.
func (p *Provider) Notices(ctx context.Context, owner provider.Mark) ([]string, error) {
	found, err := p.Find(ctx, owner)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, m := range found {
		for _, note := range m.Adrift {
			all = append(all, "machine "+m.Name+": "+note)
		}
	}
	onNet, err := readBoard(p.runDir(owner.Cluster))
	return append(all, onNet...), err
}

// boardFile is what the network's process has put up, in the run directory.
const boardFile = "notices.json"

func readBoard(runDir string) (notices []string, err error) {
	text, err := os.ReadFile(filepath.Join(runDir, boardFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &notices)
	}
	if err != nil {
		return nil, fmt.Errorf("notices of the private network: %w", err)
	}
	return notices, nil
}

// A board keeps what is to be told of a private network, for whoever looks. It
// is safe for concurrent use.
type board struct {
	path string

	mu sync.Mutex
	up map[string]string // by what it is about
}

// newBoard begins an empty one: whoever was killed took down nothing.
func newBoard(runDir string) *board {
	b := &board{path: filepath.Join(runDir, boardFile), up: map[string]string{}}
	_ = os.Remove(b.path)
	return b
}

// of returns what puts up the notices of the DHCP server on a link. Leases
// that were granted are nobody's concern.
func (b *board) of(link string) func(dhcpserver.Notice) {
	return func(n dhcpserver.Notice) {
		switch n.Kind {
		case dhcpserver.Granted:
		case dhcpserver.Alone:
			b.put(link, "")
		case dhcpserver.Rival:
			b.put(link, link+": "+n.String())
		default:
			b.note(string(n.Kind)+link+n.String(), link+": "+n.String())
		}
	}
}

// note puts up what has happened, with the time of the first of it: a machine
// that finds its address taken tries again every few seconds.
func (b *board) note(about, text string) {
	b.mu.Lock()
	_, known := b.up[about]
	b.mu.Unlock()
	if !known {
		b.put(about, text+", at "+time.Now().Format(time.TimeOnly))
	}
}

// put replaces what is said about something, which is "" for nothing. A board
// that cannot be written shows what it did.
func (b *board) put(about, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.up, about)
	if text != "" {
		b.up[about] = text
	}
	all := []string{}
	for _, key := range slices.Sorted(maps.Keys(b.up)) {
		all = append(all, b.up[key])
	}
	if encoded, err := json.Marshal(all); err == nil {
		_ = atomicfile.Write(b.path, encoded, 0o600)
	}
}
