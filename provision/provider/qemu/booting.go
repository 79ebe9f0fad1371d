package qemu

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-project/slipway/internal/qemu"
)

// A machine boots until it has used so much processor time (measured: BIOS,
// boot loader and kernel of a small guest under TCG), or is idle, or that much
// time has passed. Two at a time on two processors come up as early as five
// would, and each of them in a third of the time.
const (
	bootWork = 3 * time.Second
	bootTime = 10 * time.Second
	bootPoll = time.Second
	idleWork = bootPoll / 5
)

// booting returns when r has booted or ended.
func booting(r *qemu.Running) {
	deadline := time.After(bootTime)
	tick := time.NewTicker(bootPoll)
	defer tick.Stop()
	for before := time.Duration(0); ; {
		select {
		case <-r.Ended():
			return
		case <-deadline:
			return
		case <-tick.C:
		}
		now, err := processorTime(r.PID)
		if err != nil || now > bootWork || now-before < idleWork {
			return
		}
		before = now
	}
}

// processorTime is what a process has used: fields 14 and 15 of
// /proc/PID/stat, in hundredths of a second (proc(5)).
func processorTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d: %d fields in stat", pid, len(fields))
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err
}
