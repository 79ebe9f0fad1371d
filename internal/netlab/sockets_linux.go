package netlab

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A Socket is one that waits for connections or packets.
type Socket struct {
	Network string // tcp, udp
	Address netip.AddrPort
	inode   string // its identity
}

func (s Socket) String() string { return s.Network + " " + s.Address.String() }

// tables are the files of proc(5) net, and the state in which a socket waits:
// TCP_LISTEN, and for UDP "unconnected".
var tables = []struct{ file, network, waiting string }{
	{"tcp", "tcp", "0A"}, {"tcp6", "tcp", "0A"}, {"udp", "udp", "07"}, {"udp6", "udp", "07"},
}

// Listening lists the sockets that wait in the namespace.
func (n *Namespace) Listening() (found []Socket, err error) {
	err = n.Do(func() error {
		for _, t := range tables {
			text, err := os.ReadFile("/proc/thread-self/net/" + t.file)
			if errors.Is(err, os.ErrNotExist) { // kernel without IPv6
				continue
			}
			if err != nil {
				return err
			}
			sockets, err := parseSockets(string(text), t.network, t.waiting)
			if err != nil {
				return fmt.Errorf("/proc/net/%s: %w", t.file, err)
			}
			found = append(found, sockets...)
		}
		return nil
	})
	return found, err
}

// parseSockets reads lines such as
//
//	0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345
func parseSockets(text, network, waiting string) ([]Socket, error) {
	var found []Socket
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if i == 0 || len(fields) < 10 || fields[3] != waiting {
			continue
		}
		address, err := parseAddress(fields[1])
		if err != nil {
			return nil, err
		}
		found = append(found, Socket{network, address, fields[9]})
	}
	return found, nil
}

// parseAddress reads an address in words of the (little-endian) host order,
// and a port in network order.
func parseAddress(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q: not hexadecimal words", s)
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	number, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: not an address and port", s)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
