package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A Base is what all images of one program have in common. It is built once.
type Base struct {
	// Dir is where kernel, initramfs and boot loader are laid out as on the image.
	Dir string
}

// mbr is the boot sector of an image that is on a disk.
const mbr = "isolinux/isohdpfx.bin"

// bootConfig boots at once, with the console on the first serial port. The
// timer check is skipped because it hangs one boot in a hundred on a busy host.
const bootConfig = `serial 0
default slipway
prompt 0
label slipway
kernel /vmlinuz
append initrd=/initrd.gz console=ttyS0 quiet no_timer_check mitigations=off panic=-1 net.ifnames=0
`

// Build makes the base of images with program as their first process, in dir,
// from packages in cache. The program must be statically linked.
func Build(ctx context.Context, program, cache, dir string) (Base, error) {
	s, err := fetch(ctx, cache)
	if err != nil {
		return Base{}, fmt.Errorf("boot image: %w", err)
	}
	b := Base{dir}
	if err := b.layOut(program, s); err != nil {
		return Base{}, fmt.Errorf("boot image: %w", err)
	}
	return b, nil
}

func (b Base) layOut(program string, s source) error {
	if err := os.MkdirAll(filepath.Join(b.Dir, "isolinux"), 0o755); err != nil {
		return err
	}
	for to, from := range map[string]string{
		"vmlinuz":               s.kernel,
		mbr:                     filepath.Join(s.root, "usr/lib/ISOLINUX/isohdpfx.bin"),
		"isolinux/isolinux.bin": filepath.Join(s.root, "usr/lib/ISOLINUX/isolinux.bin"),
		"isolinux/ldlinux.c32":  filepath.Join(s.root, "usr/lib/syslinux/modules/bios/ldlinux.c32"),
	} {
		if err := copyFile(filepath.Join(b.Dir, to), from); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(b.Dir, "isolinux/isolinux.cfg"), []byte(bootConfig), 0o644); err != nil {
		return err
	}
	initramfs, err := os.Create(filepath.Join(b.Dir, "initrd.gz"))
	if err != nil {
		return err
	}
	defer initramfs.Close()
	if err := writeInitramfs(initramfs, program, s.modules); err != nil {
		return err
	}
	return initramfs.Close()
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// Write makes the image at path: the base, and files by the names they have on
// it. The volume is named as Red Hat CoreOS live images are.
func (b Base) Write(ctx context.Context, path string, files map[string][]byte) error {
	extra, err := os.MkdirTemp(filepath.Dir(path), "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(extra)
	for name, data := range files {
		if err := os.MkdirAll(filepath.Join(extra, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(extra, name), data, 0o644); err != nil {
			return err
		}
	}
	_, err = run(ctx, "", "xorriso", "-as", "mkisofs", "-quiet", "-V", "rhcos-live", "-o", path,
		"-isohybrid-mbr", filepath.Join(b.Dir, mbr),
		"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
		b.Dir, extra)
	if err != nil {
		return fmt.Errorf("boot image: %w", err)
	}
	return nil
}
