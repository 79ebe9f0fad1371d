package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// registered reports whether the installer still knows what was registered. A
// cluster that has joined needs no installer any more.
func (r *run) registered(ctx context.Context) (bool, error) {
	if r.whole {
		return true, nil
	}
	ref := r.journal.Document().Ref
	if ref == nil || ref.InfraEnvID == "" {
		return false, nil
	}
	refs, err := r.installer.Find(ctx, r.mark())
	return slices.Contains(refs, *ref), err
}

func (r *run) register(ctx context.Context) error {
	if ready := r.journal.Document().Ready; !ready.IsZero() {
		return hint.With(fmt.Errorf("the cluster was installed on %s, does not answer now, and the installer no longer knows it", ready.Local().Format(time.DateOnly)),
			"look at its machines and at `slipway status`; `slipway down` and `slipway up` begin anew")
	}
	ref, err := r.installer.Register(ctx, r.wantCluster(r.mark(), r.keys))
	if err != nil {
		return err
	}
	return r.journal.Append(state.Record{Kind: state.Chose, Ref: &ref})
}

// stored reports whether the image is where the machines need it, or needed
// no more because every machine runs from its disk.
func (r *run) stored(ctx context.Context) (bool, error) {
	doc := r.journal.Document()
	if r.whole || r.allEjected(doc) {
		return true, nil
	}
	if doc.Image == nil || doc.Image.Ref == "" {
		return false, nil
	}
	refs, err := r.provider.Images(ctx, r.mark())
	return slices.Contains(refs, doc.Image.Ref), err
}

func (r *run) allEjected(doc state.Document) bool {
	for _, n := range r.cluster.Nodes {
		if !doc.Ejected[n.Name] {
			return false
		}
	}
	return true
}

// storeImage fetches the boot image, names it after its content, and puts it
// where machines boot from. The local copy goes when it is stored: it holds
// the pull secret's token.
func (r *run) storeImage(ctx context.Context) error {
	img, err := r.fetch(ctx)
	if err != nil {
		return err
	}
	defer os.Remove(img.Path)
	chosen := state.Image{Name: img.Name, Size: img.Size, SHA256: img.SHA256}
	if err := r.journal.Append(state.Record{Kind: state.Chose, Image: &chosen}); err != nil {
		return err
	}
	chosen.Ref, err = r.provider.Put(ctx, img, places(r.journal.Document().Machines), r.sent(ctx, img))
	if err != nil {
		return err
	}
	return r.journal.Append(state.Record{Kind: state.Chose, Image: &chosen})
}

func (r *run) fetch(ctx context.Context) (provider.Image, error) {
	dir := r.file("media")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return provider.Image{}, err
	}
	f, err := os.Create(filepath.Join(dir, "discovery.iso"))
	if err != nil {
		return provider.Image{}, err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return provider.Image{}, err
	}
	hash := sha256.New()
	size, err := r.installer.Media(ctx, *r.journal.Document().Ref, io.MultiWriter(f, hash), r.received(ctx))
	if err != nil {
		os.Remove(f.Name()) // a part of it is of no use, and takes room
		return provider.Image{}, fmt.Errorf("fetch discovery ISO: %w", err)
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	name := fmt.Sprintf("slipway-%s-%s.iso", r.cluster.FullName(), sum[:12])
	return provider.Image{Name: name, Path: f.Name(), Size: size, SHA256: sum}, f.Close()
}

func (r *run) received(ctx context.Context) func(got, total int64) {
	return func(got, total int64) { r.transfer(ctx, "fetching discovery ISO", got, total) }
}

func (r *run) sent(ctx context.Context, img provider.Image) func(int64) {
	return func(sent int64) { r.transfer(ctx, "uploading discovery ISO", sent, img.Size) }
}

func (r *run) transfer(ctx context.Context, stage string, done, total int64) {
	phase.Progress(ctx)
	if total > 0 {
		r.stage("", stage, int(100*done/total))
	}
}

// stage tells of progress, each step of it once.
func (r *run) stage(node, stage string, percent int) {
	now := fmt.Sprint(stage, percent)
	r.mu.Lock()
	same := r.stages[node] == now
	r.stages[node] = now
	r.mu.Unlock()
	if !same {
		r.emit(event.Event{Kind: event.Stage, Node: node, Stage: stage, Percent: percent})
	}
}
