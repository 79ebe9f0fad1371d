package proxmox_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

func TestImagesGoWhereTheyAreNeeded(t *testing.T) {
	for _, c := range []struct {
		name    string
		shared  bool
		uploads int
	}{
		{"to each node", false, 2},
		{"once, when the nodes share the storage", true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, func(cfg *pve.Config) {
				cfg.Storages[0].Shared = c.shared
				if c.shared {
					cfg.Storages[0].Type = "nfs"
				}
			})
			p := d.open()
			img := iso(t, 3_000_000)
			var last int64
			ref, err := p.Put(bounded(t), img, []string{"pve2", "pve1", "pve2"}, func(n int64) { last = max(last, n) })
			if err != nil || ref != "local:iso/"+img.Name || last != img.Size {
				t.Fatalf("ref %q after %d bytes, error %v", ref, last, err)
			}
			if n := d.count(http.MethodPost, "/nodes/{node}/storage/{storage}/upload"); n != c.uploads {
				t.Errorf("%d uploads, want %d", n, c.uploads)
			}
			if _, err := p.Put(bounded(t), img, []string{"pve1", "pve2"}, nil); err != nil {
				t.Fatal(err)
			}
			if n := d.count(http.MethodPost, "/nodes/{node}/storage/{storage}/upload"); n != c.uploads {
				t.Errorf("%d uploads after storing it again, want %d", n, c.uploads)
			}
			for _, stored := range d.server.Images() {
				checkContent(t, stored, img)
			}
			if err := p.Drop(bounded(t), ref); err != nil {
				t.Fatal(err)
			}
			if left := d.server.Images(); len(left) != 0 {
				t.Errorf("images %v are left", left)
			}
		})
	}
}

func checkContent(t *testing.T, path string, img provider.Image) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != img.SHA256 {
		t.Errorf("%s has %d bytes of something else", path, len(content))
	}
}

func TestDropWithoutTheRight(t *testing.T) {
	d := newDatacentre(t, func(c *pve.Config) {
		c.Tokens[0].ACL = slices.Clone(leastRights)
		c.Tokens[0].ACL[2].Privileges = []string{"Datastore.AllocateTemplate", "Datastore.Audit"}
	})
	p := d.open()
	ref, err := p.Put(bounded(t), iso(t, 1000), []string{"pve1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Drop(bounded(t), ref)
	if !errors.Is(err, provider.ErrMayNot) || !errors.Is(err, proxmox.Forbidden) {
		t.Errorf("error is %v", err)
	}
	want := "it was left on node pve1; remove it there with `pvesm free " + ref + "`, or give the token Datastore.Allocate on /storage/local"
	if got := hint.Of(err); got != want {
		t.Errorf("hint is %q\nwant %q", got, want)
	}
}

// An image that a machine may boot from is not taken from under it.
func TestDropOfAnImageInUse(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	m := create(t, p, node(0))
	ref, err := p.Put(bounded(t), iso(t, 1000), []string{m.Place}, nil)
	if err = errors.Join(err, p.Insert(bounded(t), m, ref)); err != nil {
		t.Fatal(err)
	}
	want := "drop image " + ref + ": VM " + m.ID + " on node \"" + m.Place + "\" has it in its tray"
	if err := p.Drop(bounded(t), ref); err == nil || err.Error() != want {
		t.Errorf("error is %v\nwant %s", err, want)
	}
	if err := errors.Join(p.Eject(bounded(t), m), p.Drop(bounded(t), ref)); err != nil {
		t.Error(err)
	}
}

func TestCorruptImageIsRefused(t *testing.T) {
	d := newDatacentre(t, nil)
	img := iso(t, 1000)
	img.SHA256 = strings.Repeat("0", 64)
	_, err := d.open().Put(bounded(t), img, []string{"pve1"}, nil)
	var failed *proxmox.TaskError
	if !errors.As(err, &failed) || !strings.Contains(failed.Text, "checksum mismatch") {
		t.Errorf("error is %v", err)
	}
	if left := d.server.Images(); len(left) != 0 {
		t.Errorf("images %v are stored", left)
	}
}

// An upload ends at once when its context does.
func TestUploadIsCancelled(t *testing.T) {
	d := newDatacentre(t, nil)
	p := d.open()
	ctx, cancel := context.WithCancel(bounded(t))
	var stopped time.Time
	_, err := p.Put(ctx, iso(t, 50_000_000), []string{"pve1"}, func(n int64) {
		if n > 0 && stopped.IsZero() {
			stopped = time.Now()
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if late := time.Since(stopped); late > 500*time.Millisecond {
		t.Errorf("it ended %s late", late)
	}
}

// iso writes an image of size bytes.
func iso(t *testing.T, size int) provider.Image {
	t.Helper()
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * i >> 8)
	}
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return provider.Image{Name: "slipway-mycluster.lab.test-" + digest[:12] + ".iso", Path: path, Size: int64(size), SHA256: digest}
}
