package portholder

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Holder returns the name and id of the process whose socket keeps others from
// binding addr; network is "tcp" or "udp". It is false when there is none in
// this network namespace, or none that this user may see (proc(5)).
func Holder(network string, addr netip.AddrPort) (name string, pid int, ok bool) {
	inodes := holding(network, addr)
	if len(inodes) == 0 {
		return "", 0, false
	}
	pid, ok = owner(inodes)
	if !ok {
		return "", 0, false
	}
	comm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return "", 0, false
	}
	return strings.TrimSpace(string(comm)), pid, true
}

// holding lists the inodes of the sockets in the way of addr. The tables are
// those of this thread, whose namespace may not be the process's.
func holding(network string, addr netip.AddrPort) []string {
	var inodes []string
	for _, table := range []string{network, network + "6"} {
		f, err := os.Open("/proc/thread-self/net/" + table)
		if err != nil {
			continue // no IPv6
		}
		inodes = append(inodes, scan(f, network, addr)...)
		f.Close()
	}
	return inodes
}

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = "0A"

// scan reads one table of /proc/net.
func scan(r io.Reader, network string, addr netip.AddrPort) []string {
	var inodes []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || network == "tcp" && f[3] != tcpListen {
			continue
		}
		if local, ok := parseLocal(f[1]); ok && inTheWay(local, addr) {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// parseLocal reads "0100007F:0035": 32-bit words in the host's byte order.
func parseLocal(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	p, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok
}

// inTheWay: the same address, or one of the two is all addresses. An IPv6
// socket on all addresses may take IPv4 too.
func inTheWay(have, want netip.AddrPort) bool {
	h, w := have.Addr(), want.Addr().Unmap().WithZone("")
	if have.Port() != want.Port() {
		return false
	}
	return h == w || h.IsUnspecified() && (h.Is6() || w.Is4()) || w.IsUnspecified() && (w.Is6() || h.Is4())
}

// owner finds the process with one of the sockets among its descriptors.
func owner(inodes []string) (int, bool) {
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, false
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		if err != nil || !isSocket || !slices.Contains(inodes, strings.TrimSuffix(inode, "]")) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		return pid, err == nil
	}
	return 0, false
}
