package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/rehearsal/image"
)

// ownKernelTests are those that a kernel of their own runs nightly.
const ownKernelTests = "^(TestVLANsOfABridgeAreApart|TestATapIsAnAccessPort|TestBridgesAreApart)$"

// firstProcess is this binary as that of a virtual machine: it runs its tests
// on that kernel, and ends the machine.
func firstProcess(m *testing.M) {
	for target, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs"} {
		if err := unix.Mount(kind, target, kind, 0, ""); err != nil {
			fmt.Println(target, err)
		}
	}
	modules, _ := filepath.Glob(image.ModulesDir + "/*.ko")
	for _, path := range modules {
		if err := load(path); err != nil {
			fmt.Println(path, err)
		}
	}
	os.Args = []string{"/init", "-test.v", "-test.run=" + ownKernelTests}
	if err := os.Setenv(insideVariable, "1"); err != nil {
		fmt.Println(err)
	}
	m.Run()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // root may
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}
