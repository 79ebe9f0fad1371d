package qemu

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/provider"
)

// discovery is an image with a volume descriptor and a boot record, cut to size.
func discovery(size int) []byte {
	const sectors = 40
	b := make([]byte, sectors*sectorSize)
	volume := b[firstDescriptor*sectorSize:]
	copy(volume, "\x01CD001\x01")
	binary.LittleEndian.PutUint32(volume[80:], sectors)
	boot := b[(firstDescriptor+1)*sectorSize:]
	copy(boot, elTorito)
	binary.LittleEndian.PutUint32(boot[0x47:], 20)
	copy(b[(firstDescriptor+2)*sectorSize:], "\xffCD001\x01")
	return b[:min(size, len(b))]
}

func without(image []byte, sector int) []byte {
	b := bytes.Clone(image)
	clear(b[sector*sectorSize : (sector+1)*sectorSize])
	return b
}

func TestDescriptors(t *testing.T) {
	whole := discovery(1 << 20)
	catalog := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(catalog[17*sectorSize+0x47:], 1<<20)
	for _, c := range []struct {
		name  string
		image []byte
		want  string
	}{
		{"whole", whole, ""},
		{"empty", nil, "it is not an ISO 9660 image"},
		{"a web page", []byte("<html>404</html>"), "it is not an ISO 9660 image"},
		{"of another kind", make([]byte, 1<<20), "it is not an ISO 9660 image"},
		{"cut short", discovery(30 * sectorSize), "it is cut short: 61440 bytes of 81920"},
		{"with files only", without(whole, 17), errNoBoot.Error()},
		{"its catalog is outside", catalog, errNoBoot.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := text(descriptors(bytes.NewReader(c.image), int64(len(c.image)))); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What a program of the field makes is what we take for an image.
func TestImagesOfXorriso(t *testing.T) {
	testbed.Program(t, "xorriso")
	tree, out := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "boot.bin"), make([]byte, 2048), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options []string
		want    string
	}{
		"boots": {[]string{"-b", "boot.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4"}, ""},
		"data":  {nil, errNoBoot.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(out, name+".iso")
			args := append(append([]string{"-as", "mkisofs", "-quiet", "-o", path}, c.options...), tree)
			if said, err := exec.CommandContext(t.Context(), "xorriso", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if got := text(bootable(path)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func FuzzDescriptors(f *testing.F) {
	f.Add(discovery(1 << 20)[16*sectorSize : 19*sectorSize])
	f.Fuzz(func(t *testing.T, sectors []byte) {
		image := append(make([]byte, firstDescriptor*sectorSize), sectors...)
		if descriptors(bytes.NewReader(image), int64(len(image))) == nil && !bytes.Contains(sectors, elTorito) {
			t.Error("boots without a boot record")
		}
	})
}

func written(t *testing.T, content []byte) provider.Image {
	t.Helper()
	sum := sha256.Sum256(content)
	img := provider.Image{Name: "slipway-mycluster.lab.test-0123456789ab.iso", Path: filepath.Join(t.TempDir(), "image"), Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	if err := os.WriteFile(img.Path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPutRefuses(t *testing.T) {
	whole := discovery(1 << 20)
	for _, c := range []struct {
		name  string
		spoil func(*provider.Image)
		image []byte
		want  string
	}{
		{"a foreign image", func(*provider.Image) {}, without(whole, 17), errNoBoot.Error()},
		{"less than was promised", func(i *provider.Image) { i.Size++ }, whole, " is not whole: 81920 bytes with digest "},
		{"another than was promised", func(i *provider.Image) { i.SHA256 = strings.Repeat("0", 64) }, whole, ", not 81920 with 000000000000"},
		{"a name that leads away", func(i *provider.Image) { i.Name = "../x.iso" }, whole, "its name is not a plain file name that ends in .iso"},
		{"none", func(i *provider.Image) { i.Path += ".gone" }, whole, "no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := opened(t, filepath.Join(t.TempDir(), "q"))
			img := written(t, c.image)
			c.spoil(&img)
			if _, err := p.Put(t.Context(), img, nil, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
				t.Errorf("it left something: %v", err)
			}
		})
	}
}

// A copy that was damaged, or cut short by a crash, is replaced.
func TestPutReplacesADamagedCopy(t *testing.T) {
	p := opened(t, t.TempDir())
	img := written(t, discovery(1<<20))
	ref, err := p.Put(t.Context(), img, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(p.image(ref), 5000); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Put(t.Context(), img, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(p.image(ref)); err != nil || !bytes.Equal(got, discovery(1<<20)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Put(ctx, img, nil, nil); err == nil {
		t.Error("it goes on when it is cancelled")
	}
}
