package spec

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// lists are what a machines block gives for its nodes in lists. They are nil
// for attributes that are not written, or vary from node to node.
type lists struct {
	addresses           []address
	macs                []item
	dhcp                bool // addresses = "dhcp"
	addressesOK, macsOK bool
}

func (l *loader) lists(raw *rawMachines) lists {
	var all lists
	if !varies(raw.Addresses) {
		all.addresses, all.dhcp, all.addressesOK = l.addresses(raw.Addresses)
	}
	if !varies(raw.MACs) {
		all.macs, all.macsOK = l.items(raw.MACs, macsExample)
	}
	return all
}

const macsExample = `["52:54:00:ab:cd:01"]`

// static reports whether addresses are listed.
func (s lists) static() bool { return s.addressesOK && !s.dhcp && s.addresses != nil }

// An outfit is what is written for one node.
type outfit struct {
	address address
	mac     item
}

// of is what the lists have for the node of that index.
func (s lists) of(i int) outfit {
	var o outfit
	if i < len(s.addresses) {
		o.address = s.addresses[i]
	}
	if i < len(s.macs) {
		o.mac = s.macs[i]
	}
	return o
}

// own adds to o what varies from node to node.
func (l *loader) own(m *machines, n *node, o outfit) outfit {
	if varies(m.raw.Addresses) {
		addresses, dhcp, ok := l.addresses(m.raw.Addresses)
		if ok && !dhcp && l.single(n, m.raw.Addresses, len(addresses)) {
			o.address = addresses[0]
		}
	}
	if varies(m.raw.MACs) {
		macs, ok := l.items(m.raw.MACs, macsExample)
		if ok && l.single(n, m.raw.MACs, len(macs)) {
			o.mac = macs[0]
		}
	}
	return o
}

func (l *loader) single(n *node, a *hcl.Attribute, got int) bool {
	if got != 1 {
		l.errorf(a.Expr.Range(), "Length mismatch", "This is worked out for each node, and for node %q it lists %d. Write one.", n.Name, got)
	}
	return got == 1
}

// An address is a node's, and where it was written.
type address struct {
	addr netip.Addr
	at   hcl.Range
}

const addressesExample = `"192.0.2.201-203"`

// byDHCP in the place of addresses leaves them to the network's DHCP server.
const byDHCP = "dhcp"

// addresses reads "192.0.2.201-203", one address, a list of both, or "dhcp".
// The list is empty when one of them is wrong.
func (l *loader) addresses(a *hcl.Attribute) (list []address, dhcp, ok bool) {
	items, ok := l.items(a, addressesExample)
	if ok && len(items) == 1 && items[0].text == byDHCP {
		return nil, true, true
	}
	list = []address{}
	for _, i := range items {
		if i.text == byDHCP {
			l.errorf(i.at, "Mixed addresses", "The nodes of a block have all their addresses by DHCP, or none. Write addresses = \"dhcp\", and static ones in a block of their own.")
			return nil, false, false
		}
		first, last, good := l.addressRange(i)
		for addr := first; good && addr.Compare(last) <= 0; addr = addr.Next() {
			list = append(list, address{addr, i.at})
		}
		ok = ok && good
	}
	if !ok {
		return nil, false, false
	}
	return list, false, true
}

// addressRange reads 192.0.2.201-203 or 192.0.2.201-192.0.2.203.
func (l *loader) addressRange(i item) (first, last netip.Addr, ok bool) {
	from, to, isRange := strings.Cut(i.text, "-")
	first, ok = l.parseAddress(item{from, i.at}, addressesExample)
	if !ok || !isRange {
		return first, first, ok
	}
	if last, ok = withLastOctet(first, to); !ok {
		if last, ok = l.parseAddress(item{to, i.at}, addressesExample); !ok {
			return first, last, false
		}
	}
	if size := int64(number(last)) - int64(number(first)); size < 0 || size >= maxCount {
		l.errorf(i.at, "Invalid address range", "%q runs backwards, or has more than %d addresses. Write the first address and the last octet, such as %s.", i.text, maxCount, addressesExample)
		return first, last, false
	}
	return first, last, true
}

func withLastOctet(addr netip.Addr, octet string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(octet, 10, 8)
	b := addr.As4()
	b[3] = byte(n)
	return netip.AddrFrom4(b), err == nil
}

func number(addr netip.Addr) uint32 {
	b := addr.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
