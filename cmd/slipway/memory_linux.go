package main

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseStartup gives back the memory that only the start of the program
// needed: heap, and the pages of the executable, most of which is for other
// verbs. A page that is needed after all comes from the page cache again. A
// small DNS server halves its memory by this; on failure nothing is lost.
func releaseStartup() {
	debug.FreeOSMemory()
	exe, err := os.Executable()
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	for _, m := range cleanMappings(smaps, exe) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_DONTNEED)
	}
}

type mapping struct{ begin, end uintptr }

// cleanMappings lists the mappings of a file that cannot be written and have
// no page that differs from the file: a relocated page would be lost.
func cleanMappings(smaps io.Reader, file string) (clean []mapping) {
	var current *mapping // of the file and not writable; nil: another
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"):
			current = readOnly(fields, file)
		case current != nil && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0":
			clean = append(clean, *current)
		}
	}
	return clean
}

// readOnly reads the head of a mapping (proc_pid_maps(5)): range, rights,
// offset, device, inode, path.
func readOnly(fields []string, file string) *mapping {
	if len(fields) != 6 || fields[5] != file || strings.Contains(fields[1], "w") {
		return nil
	}
	from, to, _ := strings.Cut(fields[0], "-")
	begin, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err != nil || err2 != nil {
		return nil
	}
	return &mapping{uintptr(begin), uintptr(end)}
}
