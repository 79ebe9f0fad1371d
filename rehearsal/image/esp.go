package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// grub is Debian's GRUB for CDs, one file with all its modules (package
// grub-efi-amd64-bin). It reads the configuration that is on the image.
const grub = "usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi"

// espSlack is what a FAT file system needs besides the content of its files.
const espSlack = 256 << 10

// makeESP makes a FAT file system with GRUB where UEFI looks on removable
// media (UEFI 2.10, 3.5.1.1). The tools for it are among the packages: nothing
// needs to be installed.
func makeESP(ctx context.Context, path, root string) error {
	loader := filepath.Join(root, grub)
	info, err := os.Stat(loader)
	if err != nil {
		return err
	}
	kib := (info.Size() + espSlack) >> 10
	if err := put(path, make([]byte, kib<<10)); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mformat", "-i", path, "-v", "SLIPWAY", "-T", fmt.Sprint(2 * kib), "-h", "2", "-s", "32", "::"},
		{"mmd", "-i", path, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", path, loader, "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if _, err := run(ctx, "", filepath.Join(root, "usr/bin", args[0]), args[1:]...); err != nil {
			return err
		}
	}
	return nil
}
