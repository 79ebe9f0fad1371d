package rehearsal

import (
	"encoding/binary"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
)

// maxPool is how many addresses a home router hands out at most.
const maxPool = 250

// A pool is a run of IPv4 addresses that a DHCP server hands out.
type pool struct {
	first netip.Addr
	size  int
}

// widestPool is the longest run of host addresses of cidr without any of taken.
func widestPool(cidr netip.Prefix, taken []netip.Addr) (widest pool) {
	network := numberOf(cidr.Masked().Addr())
	broadcast := network | (1<<(32-cidr.Bits()) - 1)
	limits := []uint32{network, broadcast}
	for _, a := range taken {
		if cidr.Contains(a) {
			limits = append(limits, numberOf(a))
		}
	}
	slices.Sort(limits)
	for i, low := range limits[1:] {
		if size := int(low) - int(limits[i]) - 1; size > widest.size {
			widest = pool{addrOf(limits[i] + 1), size}
		}
	}
	widest.size = min(widest.size, maxPool)
	return widest
}

// find returns the first address that fits, beginning at one that follows from
// the MAC.
func (p pool) find(mac net.HardwareAddr, fit func(netip.Addr) bool) (netip.Addr, bool) {
	hash := fnv.New32a()
	hash.Write(mac)
	for i := range uint32(p.size) {
		if a := addrOf(numberOf(p.first) + (hash.Sum32()%uint32(p.size)+i)%uint32(p.size)); fit(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

func numberOf(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func addrOf(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}
