package dhcpserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// DefaultLease is how long an address is given for when the Config does not
// say. Machines of a cluster that comes and goes keep theirs by renewing.
const DefaultLease = 10 * time.Minute

// A Config is one link and the addresses handed out on it. It marshals to
// JSON and back without loss.
type Config struct {
	Interface    string        `json:"interface"`        // the link: br0
	Server       netip.Prefix  `json:"server"`           // our address there, with the length of the network
	Router       netip.Addr    `json:"router,omitzero"`  // zero: none is announced
	DNS          []netip.Addr  `json:"dns,omitempty"`    //
	NTP          []netip.Addr  `json:"ntp,omitempty"`    //
	MTU          int           `json:"mtu,omitempty"`    // 0: not announced
	Domain       string        `json:"domain,omitempty"` // mycluster.lab.test
	Lease        time.Duration `json:"lease,omitempty"`  // 0: DefaultLease
	Reservations []Reservation `json:"reservations"`
}

// A Reservation is the address of one machine.
type Reservation struct {
	Name    string     `json:"name"` // announced as host name: control-0
	MAC     MAC        `json:"mac"`
	Address netip.Addr `json:"address,omitzero"`
}

// A MAC is an Ethernet address that marshals to text.
type MAC [6]byte

// ParseMAC reads 52:54:00:ab:cd:01 and the other forms of [net.ParseMAC].
func ParseMAC(text string) (MAC, error) {
	hw, err := net.ParseMAC(text)
	if err != nil || len(hw) != len(MAC{}) {
		return MAC{}, fmt.Errorf("%q is not the MAC address of an Ethernet device", text)
	}
	return MAC(hw), nil
}

// String returns six hexadecimal bytes with colons.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText implements [encoding.TextMarshaler].
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *MAC) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMAC(string(text))
	return err
}

// Validate returns all that is wrong with c.
func Validate(c Config) error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Interface == "", "no interface is named")
	wrong(!c.Server.IsValid() || !c.Server.Addr().Is4(), "server %s is not an IPv4 address with the length of its network", c.Server)
	wrong(c.MTU != 0 && (c.MTU < 576 || c.MTU > 65535), "MTU %d is not between 576 and 65535", c.MTU)
	wrong(c.Lease < 0 || c.Lease > 0 && c.Lease < time.Minute, "lease %s is shorter than a minute", c.Lease)
	wrong(c.Router.IsValid() && !c.Server.Contains(c.Router), "router %s is outside of %s", c.Router, c.Server.Masked())
	return errors.Join(append(errs, reservations(c)...)...)
}

func reservations(c Config) (errs []error) {
	macs, addresses := map[MAC]string{}, map[netip.Addr]string{c.Server.Addr(): "the server itself", c.Router: "the router"}
	for _, r := range c.Reservations {
		if other, taken := macs[r.MAC]; taken {
			errs = append(errs, fmt.Errorf("%s and %s have the same MAC address %s", other, r.Name, r.MAC))
		}
		if other, taken := addresses[r.Address]; taken {
			errs = append(errs, fmt.Errorf("%s and %s have the same address %s", other, r.Name, r.Address))
		}
		if !c.Server.Contains(r.Address) {
			errs = append(errs, fmt.Errorf("%s: address %s is outside of %s", r.Name, r.Address, c.Server.Masked()))
		}
		macs[r.MAC], addresses[r.Address] = r.Name, r.Name
	}
	return errs
}

func (c Config) lease() time.Duration {
	if c.Lease == 0 {
		return DefaultLease
	}
	return c.Lease
}
