package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-project/slipway/internal/qemu"
)

// firmwarePackage has UEFI firmware for virtual machines.
const firmwarePackage = "ovmf"

// UEFI returns firmware for machines that boot by UEFI, with the template of
// their variables, which each machine needs a copy of: that of this system, or
// that of a package in cache.
func UEFI(ctx context.Context, cache string) (qemu.Firmware, error) {
	if code, template, err := qemu.FindUEFI(); err == nil {
		return qemu.Firmware{Code: code, Vars: template}, nil
	}
	root := filepath.Join(cache, firmwarePackage)
	if _, err := os.Stat(root); err != nil {
		if err := download(ctx, root, firmwarePackage); err != nil {
			return qemu.Firmware{}, fmt.Errorf("UEFI firmware: %w", err)
		}
	}
	code, template, err := qemu.FindUEFI(filepath.Join(root, "usr/share/qemu/firmware"))
	if err != nil {
		return qemu.Firmware{}, fmt.Errorf("UEFI firmware of package %s: %w", firmwarePackage, err)
	}
	return qemu.Firmware{Code: filepath.Join(root, code), Vars: filepath.Join(root, template)}, nil
}
