package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A Base is what all images of one program have in common. It is built once.
type Base struct {
	// Dir is where kernel, initramfs and boot loader are laid out as on the image.
	Dir string
}

// mbr is the boot sector of an image that is on a disk, esp the file system
// that UEFI boots from, on CD and disk.
const (
	mbr = "isolinux/isohdpfx.bin"
	esp = "efi.img"
)

// CommandLine is what the kernel is told: its console is the first serial
// port. The timer check is skipped because it hangs one boot in a hundred on a
// busy host.
const CommandLine = "console=ttyS0 quiet no_timer_check mitigations=off panic=-1 net.ifnames=0"

// configs boot at once, isolinux where there is a BIOS, GRUB where there is
// UEFI. GRUB finds the image by .disk/info.
var configs = map[string]string{
	"isolinux/isolinux.cfg": "serial 0\ndefault slipway\nprompt 0\nlabel slipway\nkernel /" + Kernel + "\nappend initrd=/" + Initramfs + " " + CommandLine + "\n",
	"boot/grub/grub.cfg":    "linux /" + Kernel + " " + CommandLine + "\ninitrd /" + Initramfs + "\nboot\n",
	".disk/info":            "slipway\n",
}

// Files of a [Base] and of each image.
const (
	Kernel    = "vmlinuz"
	Initramfs = "initrd.gz"
)

// Build makes the base of images with program as their first process, in dir,
// from packages in cache. The program must be statically linked. It finds the
// kernel modules of a machine's devices in [ModulesDir], and those named.
func Build(ctx context.Context, program, cache, dir string, modules ...string) (Base, error) {
	s, err := fetch(ctx, cache)
	if err != nil {
		return Base{}, fmt.Errorf("boot image: %w", err)
	}
	b := Base{dir}
	if err := b.layOut(ctx, program, s, modules); err != nil {
		return Base{}, fmt.Errorf("boot image: %w", err)
	}
	return b, nil
}

func (b Base) layOut(ctx context.Context, program string, s source, modules []string) error {
	for to, from := range map[string]string{
		Kernel:                  s.kernel,
		mbr:                     filepath.Join(s.root, "usr/lib/ISOLINUX/isohdpfx.bin"),
		"isolinux/isolinux.bin": filepath.Join(s.root, "usr/lib/ISOLINUX/isolinux.bin"),
		"isolinux/ldlinux.c32":  filepath.Join(s.root, "usr/lib/syslinux/modules/bios/ldlinux.c32"),
	} {
		if err := copyFile(b.file(to), from); err != nil {
			return err
		}
	}
	for name, text := range configs {
		if err := put(b.file(name), []byte(text)); err != nil {
			return err
		}
	}
	if err := makeESP(ctx, b.file(esp), s.root); err != nil {
		return err
	}
	initramfs, err := os.Create(b.file(Initramfs))
	if err != nil {
		return err
	}
	defer initramfs.Close()
	if err := writeInitramfs(initramfs, program, s.modules, slices.Concat(wanted, modules)); err != nil {
		return err
	}
	return initramfs.Close()
}

func (b Base) file(name string) string { return filepath.Join(b.Dir, name) }

func put(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
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
		if err := put(filepath.Join(extra, name), data); err != nil {
			return err
		}
	}
	_, err = run(ctx, "", "xorriso", "-as", "mkisofs", "-quiet", "-V", "rhcos-live", "-o", path,
		"-isohybrid-mbr", b.file(mbr),
		"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
		"-eltorito-alt-boot", "-e", esp, "-no-emul-boot", "-isohybrid-gpt-basdat",
		b.Dir, extra)
	if err != nil {
		return fmt.Errorf("boot image: %w", err)
	}
	return nil
}
