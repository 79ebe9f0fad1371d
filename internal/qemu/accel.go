package qemu

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// probeTime is how long KVM gets to boot a guest of 512 bytes, which takes it a
// tenth of a second. Nested or half configured, it may be there and hang.
const probeTime = 2 * time.Second

// hello is what the guest of a probe writes to its first serial port.
const hello = "slipway"

// Probe returns KVM if a guest really runs under it, else TCG and why not. It
// takes less than five seconds. The error is that of a QEMU that runs nothing.
func Probe(ctx context.Context) (Accel, string, error) {
	err := Try(ctx, KVM)
	if err == nil {
		return KVM, "", nil
	}
	if ctx.Err() != nil {
		return "", "", context.Cause(ctx)
	}
	if _, missing := exec.LookPath(Program); missing != nil {
		return "", "", missing
	}
	return TCG, err.Error(), nil
}

// Try boots a guest of 512 bytes under a, and returns what keeps it from running.
func Try(ctx context.Context, a Accel) error { return boots(ctx, a, probeTime) }

// boots starts a guest that is one boot sector, and waits for what it writes.
func boots(ctx context.Context, a Accel, limit time.Duration) error {
	dir, err := os.MkdirTemp("", "slipway-accel-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sector := filepath.Join(dir, "boot.img")
	if err := os.WriteFile(sector, bootSector(), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("a guest said nothing for %s", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, Program, append([]string{"-machine", "q35", "-m", "8", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-drive", "if=none,id=boot,format=raw,readonly=on,file=" + value(sector), "-device", "virtio-blk-pci,drive=boot",
		"-device", "isa-debug-exit", "-serial", "stdio"}, a.args()...)...)
	var said, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &complaint, time.Second
	_ = cmd.Run() // ends with the odd status of its debug exit
	switch {
	case strings.Contains(said.String(), hello):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", a, context.Cause(ctx))
	case complaint.Len() > 0:
		return fmt.Errorf("%s: %s", a, firstLine(complaint.String()))
	}
	return fmt.Errorf("%s: a guest said %q", a, firstLine(said.String()))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// bootSector is real mode code that writes hello to COM1 and ends QEMU through
// its debug exit device (port 0x501), on a disk that is else empty.
func bootSector() []byte {
	code := []byte{
		0xfa,       // cli
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xbe, 0x19, 0x7c, // mov si, text
		0xfc,       // cld
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x06, // jz done
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0xee,       // out dx, al
		0xeb, 0xf5, // jmp next
		0xba, 0x01, 0x05, // done: mov dx, 0x501
		0xee, // out dx, al
		0xf4, // hlt
	}
	sector := make([]byte, 1<<20) // SeaBIOS does not boot from a disk of one sector
	copy(sector[copy(sector, code):], hello+"\n\x00")
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}
