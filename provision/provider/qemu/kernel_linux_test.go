package qemu

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/internal/netlab/netlabtest"
	"github.com/slipway-project/slipway/rehearsal/image"
)

// ownKernelTests are those that a kernel of their own runs.
const ownKernelTests = "^(TestVLANsOfABridgeAreApart|TestATapIsAnAccessPort|TestBridgesAreApart)$"

// firstProcess is this binary as that of a virtual machine: it runs its tests
// on that kernel, and ends the machine.
func firstProcess(m *testing.M) {
	if err := image.Prepare(); err != nil {
		fmt.Println(err)
	}
	os.Args = []string{"/init", "-test.v", "-test.run=" + ownKernelTests}
	if err := os.Setenv(netlabtest.Variable, "1"); err != nil {
		fmt.Println(err)
	}
	m.Run()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // root may
}
