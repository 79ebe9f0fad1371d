//go:build nightly

package image

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/internal/testbed"
)

// UEFI boots the same image, from CD and from disk, with variables of the
// machine's own.
func TestImageBootsByUEFI(t *testing.T) {
	iso, blank, installed := built(t)
	firmware, err := UEFI(t.Context(), testbed.Cache(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]qemu.VM{
		"from CD":   guestOf(t, blank, iso),
		"from disk": guestOf(t, installed, ""),
	} {
		t.Run(name, func(t *testing.T) {
			v.Memory, v.Firmware = 256, qemu.Firmware{Code: firmware.Code, Vars: filepath.Join(v.Dir, "vars.fd")}
			if err := copyFile(v.Firmware.Vars, firmware.Vars); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			seesHardware(t, boot(t, v))
			t.Logf("%.0f s", time.Since(began).Seconds())
		})
	}
}
