//go:build nightly

package image

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/internal/testbed"
)

// UEFI boots the same image, from CD and from disk, with variables of the
// machine's own.
func TestImageBootsByUEFI(t *testing.T) {
	_, iso, blank, installed := built(t)
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

// The ROM of the network device finds an empty disk and no CD, asks DHCP, and
// fetches a script by TFTP, and by HTTP kernel and initramfs.
func TestImageBootsByPXE(t *testing.T) {
	base, _, blank, _ := built(t)
	files := httptest.NewServer(http.FileServer(http.Dir(base.Dir)))
	defer files.Close()
	at, err := url.Parse(files.URL)
	if err != nil {
		t.Fatal(err)
	}
	tftp := t.TempDir()
	const loopback = "10.0.2.2" // ours, as QEMU's user network calls it
	script := fmt.Sprintf("#!ipxe\nset from http://%s:%s\nkernel ${from}/%s %s\ninitrd ${from}/%s\nboot\n",
		loopback, at.Port(), Kernel, CommandLine, Initramfs)
	if err := os.WriteFile(filepath.Join(tftp, "boot.ipxe"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	v := guestOf(t, blank, "")
	args := v.Args()
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "user,id=net0"):
			args[i] += ",tftp=" + tftp + ",bootfile=boot.ipxe"
		case strings.HasPrefix(arg, "virtio-net-pci,"):
			args[i] = strings.Replace(arg, "romfile=", "bootindex=3", 1)
		}
	}
	began := time.Now()
	seesHardware(t, bootWith(t, v, args))
	t.Logf("%.0f s", time.Since(began).Seconds())
}
