package proxmox

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
)

// A pveStorage is a line of GET /nodes/{node}/storage.
type pveStorage struct {
	Name    text   `json:"storage"`
	Type    text   `json:"type"`    // dir, lvmthin, nfs
	Content text   `json:"content"` // images,iso
	Shared  flag   `json:"shared"`  // the same on every node
	Active  flag   `json:"active"`
	Free    number `json:"avail"` // bytes
}

func (p *Provider) storages(ctx context.Context, node string) ([]pveStorage, error) {
	var all []pveStorage
	err := p.api.get(ctx, "/nodes/"+node+"/storage", &all)
	return all, err
}

// A volume is a line of GET /nodes/{node}/storage/{storage}/content.
type volume struct {
	ID   text   `json:"volid"` // local:iso/NAME
	Size number `json:"size"`  // bytes
}

// A shelf is where a storage keeps images of a kind.
type shelf struct{ storage, content string }

func (s shelf) ref(name string) string { return s.storage + ":" + s.content + "/" + name }

// shelfOf is where the image ref lies.
func (p *Provider) shelfOf(ref string) shelf {
	if strings.HasPrefix(ref, p.diskShelf().ref("")) {
		return p.diskShelf()
	}
	return p.bootShelf()
}

func (p *Provider) bootShelf() shelf { return shelf{p.cfg.Storage.ISO, "iso"} }

func (p *Provider) volumes(ctx context.Context, node string, at shelf) ([]volume, error) {
	var all []volume
	err := p.api.get(ctx, "/nodes/"+node+"/storage/"+at.storage+"/content?content="+at.content, &all)
	return all, err
}

// imageName is a name that the server keeps as it is.
var imageName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,250}\.iso$`)

// Put uploads img to the ISO storage: once when the places share it,
// otherwise to each, side by side. progress gets the average of all copies,
// so that img.Size is the end. What is there in full is not sent again.
func (p *Provider) Put(ctx context.Context, img provider.Image, places []string, progress func(sent int64)) (string, error) {
	if !imageName.MatchString(img.Name) {
		return "", fmt.Errorf("store image %q: its name is not one that Proxmox VE keeps", img.Name)
	}
	return p.put(ctx, p.bootShelf(), img, places, progress)
}

func (p *Provider) put(ctx context.Context, at shelf, img provider.Image, places []string, progress func(sent int64)) (string, error) {
	targets, err := p.targets(ctx, places)
	if err != nil {
		return "", fmt.Errorf("store image %s: %w", img.Name, err)
	}
	ref := at.ref(img.Name)
	count := averaged(len(targets), progress)
	missing, err := p.lacking(ctx, targets, ref, img.Size)
	if err != nil {
		return "", fmt.Errorf("store image %s: %w", img.Name, err)
	}
	count(img.Size * int64(len(targets)-len(missing)))
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range missing {
		group.Go(func() error { return p.putOn(ctx, node, ref, img, count) })
	}
	if err := group.Wait(); err != nil {
		return "", fmt.Errorf("store image %s: %w", img.Name, err)
	}
	return ref, nil
}

// lacking lists the nodes that do not have the image, once what an earlier
// run of this token has begun to copy or to delete has ended.
func (p *Provider) lacking(ctx context.Context, nodes []string, ref string, size int64) ([]string, error) {
	if err := p.awaitImages(ctx); err != nil {
		return nil, err
	}
	return p.without(ctx, nodes, ref, size)
}

func (p *Provider) without(ctx context.Context, nodes []string, ref string, size int64) ([]string, error) {
	there := make([]bool, len(nodes))
	group, ctx := errgroup.WithContext(ctx)
	for i, node := range nodes {
		group.Go(func() (err error) { there[i], err = p.stored(ctx, node, ref, size); return err })
	}
	err := group.Wait()
	var missing []string
	for i, node := range nodes {
		if !there[i] {
			missing = append(missing, node)
		}
	}
	return missing, err
}

// averaged returns what takes the bytes newly sent of any copy. progress is
// called by one of them at a time.
func averaged(copies int, progress func(int64)) func(int64) {
	var mu sync.Mutex
	var total int64
	return func(sent int64) {
		mu.Lock()
		defer mu.Unlock()
		total += sent
		if progress != nil {
			progress(total / int64(copies))
		}
	}
}

// targets are the nodes to upload to: one when the storage is shared.
func (p *Provider) targets(ctx context.Context, places []string) ([]string, error) {
	places = slices.Compact(slices.Sorted(slices.Values(places)))
	if len(places) == 0 {
		return nil, errors.New("no node needs it")
	}
	all, err := p.storages(ctx, places[0])
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if string(s.Name) == p.cfg.Storage.ISO && bool(s.Shared) {
			return places[:1], nil
		}
	}
	return places, nil
}

func (p *Provider) putOn(ctx context.Context, node, ref string, img provider.Image, count func(int64)) error {
	via := p.direct(ctx, node)
	err := p.api.surely(ctx, node+" images", func() error {
		handle, err := via.upload(ctx, node, p.shelfOf(ref), img, count)
		if err != nil {
			via = p.api // the endpoint's turn
			return err
		}
		return p.api.finish(ctx, handle, imageTask)
	})
	if err != nil {
		return err
	}
	there, err := p.stored(ctx, node, ref, img.Size)
	if err == nil && !there {
		err = fmt.Errorf("node %q took it, but storage %q does not list %d bytes of it", node, p.cfg.Storage.ISO, img.Size)
	}
	return err
}

// stored reports whether ref is there in full. PVE keeps no checksums: the
// digest is in the name.
func (p *Provider) stored(ctx context.Context, node, ref string, size int64) (bool, error) {
	all, err := p.volumes(ctx, node, p.shelfOf(ref))
	return slices.ContainsFunc(all, func(v volume) bool {
		return string(v.ID) == ref && int64(v.Size) == size
	}), err
}

// Drop deletes an image from every node's ISO storage, unless a machine has
// it in its tray: PVE does not ask, and the machine would start no more.
func (p *Provider) Drop(ctx context.Context, ref string) error {
	nodes, err := p.placeable(ctx)
	if err == nil {
		err = p.checkTrays(ctx, ref)
	}
	if err != nil {
		return fmt.Errorf("drop image %s: %w", ref, err)
	}
	for _, node := range nodes {
		if err := p.dropFrom(ctx, string(node.Name), ref); err != nil {
			return fmt.Errorf("drop image %s: %w", ref, err)
		}
	}
	return nil
}

func (p *Provider) checkTrays(ctx context.Context, ref string) error {
	all, err := p.guests(ctx)
	if err != nil {
		return err
	}
	machines, err := p.readAll(ctx, slices.DeleteFunc(all, func(g guest) bool { return !p.candidate(g) }))
	for _, v := range machines {
		if v.media() == ref {
			return hint.With(fmt.Errorf("VM %d on node %q has it in its tray", v.id, v.node), "remove the machine or eject the image first")
		}
	}
	return err
}

func (p *Provider) dropFrom(ctx context.Context, node, ref string) error {
	there, err := p.lists(ctx, node, ref)
	if err != nil || !there {
		return err
	}
	path := "/nodes/" + node + "/storage/" + p.cfg.Storage.ISO + "/content/" + url.PathEscape(ref)
	err = p.api.surely(ctx, node+" images", func() error {
		handle, err := p.api.delete(ctx, path, nil)
		if err != nil {
			return err
		}
		return p.api.finish(ctx, handle, imageTask)
	})
	if errors.Is(err, Forbidden) {
		return hint.With(fmt.Errorf("%w: %w", provider.ErrMayNot, err), p.mayNotDrop(node, ref))
	}
	if there, seen := p.lists(ctx, node, ref); seen == nil && !there {
		return nil
	}
	return err
}

func (p *Provider) mayNotDrop(node, ref string) string {
	return fmt.Sprintf("it was left on node %s; remove it there with `pvesm free %s`, or give the token Datastore.Allocate on /storage/%s",
		node, ref, p.cfg.Storage.ISO)
}

func (p *Provider) lists(ctx context.Context, node, ref string) (bool, error) {
	all, err := p.volumes(ctx, node, p.shelfOf(ref))
	return slices.ContainsFunc(all, func(v volume) bool { return string(v.ID) == ref }), err
}

// Images lists the boot images that owner's cluster has on any node, sorted.
func (p *Provider) Images(ctx context.Context, owner provider.Mark) ([]string, error) {
	return p.imagesOf(ctx, owner, p.bootShelf())
}

func (p *Provider) imagesOf(ctx context.Context, owner provider.Mark, at shelf) ([]string, error) {
	nodes, err := p.placeable(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images of %s: %w", owner.Cluster, err)
	}
	var refs []string
	for _, node := range nodes {
		all, err := p.volumes(ctx, string(node.Name), at)
		if err != nil {
			return nil, fmt.Errorf("list images of %s: %w", owner.Cluster, err)
		}
		for _, v := range all {
			if imageOf(string(v.ID), owner.Cluster) {
				refs = append(refs, string(v.ID))
			}
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs), nil
}

var imageDigest = regexp.MustCompile(`^[0-9a-f]{12}\.(iso|qcow2|raw)$`)

// imageOf tells the images of a cluster from those of another whose name
// begins alike.
func imageOf(ref, cluster string) bool {
	_, name, _ := strings.Cut(ref, "/")
	rest, ok := strings.CutPrefix(name, "slipway-"+cluster+"-")
	return ok && imageDigest.MatchString(rest)
}
