package loadbalancer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/process"
)

// takeOver looks for what an earlier run left in the run directory: one
// haproxy that we would have started just so goes on, with the connections it
// has; anything else is ended.
func (p *Proxy) takeOver(ctx context.Context) error {
	left, err := leftovers(p.path("haproxy.cfg"))
	if err != nil {
		return err
	}
	masters := slices.DeleteFunc(left, func(id process.ID) bool { return !id.Leads() })
	if len(masters) == 1 && p.adoptable(ctx, masters[0]) {
		p.adopt(masters[0])
		return nil
	}
	return endLeft(ctx, p.path("haproxy.cfg"))
}

// adoptable reports whether a master runs our binary as we run it, and listens
// to us.
func (p *Proxy) adoptable(ctx context.Context, id process.ID) bool {
	args := id.Args()
	if len(args) == 0 || !slices.Equal(args[1:], p.args()) {
		return false
	}
	running, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(id.PID), "exe"))
	ours, oerr := filepath.EvalSymlinks(p.o.Binary.Path)
	if err != nil || oerr != nil || running != ours {
		return false // another version, or one that was replaced meanwhile
	}
	_, err = p.procs(ctx)
	return err == nil
}

// adopt makes p attend to a master that is not our child.
func (p *Proxy) adopt(id process.ID) {
	m := &master{ID: id, done: make(chan struct{}), worked: true}
	p.master, p.adopted = m, true
	p.wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for id.Alive() {
			<-tick.C
		}
		close(m.done)
	})
	p.wg.Go(func() { p.attend(m, errors.New("it ended")) })
}

// endLeft ends the haproxy processes that run the given file.
func endLeft(ctx context.Context, file string) error {
	left, err := leftovers(file)
	for _, old := range left {
		if err := old.End(ctx, 2*time.Second); err != nil {
			return fmt.Errorf("haproxy of an earlier run: %w", err)
		}
	}
	return err
}

// resume makes an adopted haproxy run c; one that does not is replaced.
func (p *Proxy) resume(ctx context.Context, c Config) error {
	err := p.Apply(ctx, c)
	if err == nil && p.works(ctx, c) {
		return nil
	}
	p.mu.Lock()
	old := p.master
	p.master, p.adopted = nil, false // attend leaves it alone
	p.mu.Unlock()
	if serr := old.stop(ctx); serr != nil {
		return errors.Join(err, serr)
	}
	return p.Apply(ctx, c)
}

func (p *Proxy) works(ctx context.Context, c Config) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.confirm(ctx, c, procs{reloads: -1}) == nil
}

// The file haproxy.loaded has the hash of the configuration that the running
// haproxy is known to have taken: haproxy.cfg can be a step ahead of it when
// we are killed in between.

func (p *Proxy) isLoaded(text []byte) bool {
	have, err := os.ReadFile(p.path("haproxy.loaded"))
	return err == nil && string(have) == hash(text)
}

func (p *Proxy) noteLoaded(text []byte) error {
	return atomicfile.Write(p.path("haproxy.loaded"), []byte(hash(text)), 0o600)
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
