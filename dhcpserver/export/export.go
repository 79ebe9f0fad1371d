package export

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/dhcpserver"
)

// A Network is what reservations are for. A reservation without an Address
// fixes the name alone, where the format can; its address is the server's
// choice.
type Network struct {
	CIDR         netip.Prefix
	Domain       string // of the names: mycluster.lab.test
	Reservations []dhcpserver.Reservation
}

type format struct {
	name, comment string
	where         string // it is pasted to
	write         func(Network) (string, error)
}

var formats = []format{
	{"dnsmasq", "# ", "a file in /etc/dnsmasq.d, then: systemctl reload dnsmasq", dnsmasq},
	{"isc", "# ", "/etc/dhcp/dhcpd.conf, then: systemctl restart isc-dhcp-server", isc},
	{"kea", "// ", `the "reservations" of the subnet in /etc/kea/kea-dhcp4.conf, then: systemctl reload kea-dhcp4-server`, kea},
	{"opnsense", "", "the <dhcpd> section of your interface in config.xml (ISC DHCPv4), by System: Configuration: Backups", staticMaps},
	{"pfsense", "", "the <dhcpd> section of your interface in config.xml, by Diagnostics: Backup & Restore", staticMaps},
	{"mikrotik", "# ", "a terminal of RouterOS", mikrotik},
	{"unifi", "", "one PUT to /proxy/network/api/s/default/rest/user/ID each, or Client Devices: Settings: Fixed IP Address", unifi},
	{"openwrt", "# ", "a shell on the router", openwrt},
}

// Formats lists the names of all formats.
func Formats() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// ErrNeedsAddress is what a format without reservations by name alone says to
// one that has no address.
var ErrNeedsAddress = errors.New("it reserves addresses, and the spec leaves them to the DHCP server")

// Render returns the reservations in the named format, and where they go.
func Render(name string, n Network) (text, where string, err error) {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	if i < 0 {
		return "", "", fmt.Errorf("format %q is not one of %s", name, strings.Join(Formats(), ", "))
	}
	f := formats[i]
	if text, err = f.write(n); err != nil {
		return "", "", fmt.Errorf("format %s: %w", name, err)
	}
	if f.comment != "" {
		text = f.comment + "for " + f.where + "\n" + text
	}
	return text, f.where, nil
}

// lines writes one line, or several, for each reservation.
func lines(n Network, line func(dhcpserver.Reservation) string) string {
	var b strings.Builder
	for _, r := range n.Reservations {
		b.WriteString(line(r) + "\n")
	}
	return b.String()
}

// dnsmasq: dnsmasq(8), --dhcp-host.
func dnsmasq(n Network) (string, error) {
	return lines(n, func(r dhcpserver.Reservation) string {
		fields := []string{r.MAC.String()}
		if r.Address.IsValid() {
			fields = append(fields, r.Address.String())
		}
		return "dhcp-host=" + strings.Join(append(fields, r.Name), ",")
	}), nil
}

// isc: dhcpd.conf(5), host declarations.
func isc(n Network) (string, error) {
	return lines(n, func(r dhcpserver.Reservation) string {
		fixed := ""
		if r.Address.IsValid() {
			fixed = fmt.Sprintf(" fixed-address %s;", r.Address)
		}
		return fmt.Sprintf("host %s.%s { hardware ethernet %s;%s option host-name %q; }", r.Name, n.Domain, r.MAC, fixed, r.Name)
	}), nil
}

// kea: Kea Administrator Reference Manual, host reservations in DHCPv4.
func kea(n Network) (string, error) {
	type reservation struct {
		MAC  string `json:"hw-address"`
		IP   string `json:"ip-address,omitempty"`
		Name string `json:"hostname"`
	}
	list := []reservation{}
	for _, r := range n.Reservations {
		list = append(list, reservation{r.MAC.String(), text(r.Address), r.Name})
	}
	out, err := json.MarshalIndent(list, "", "  ")
	return `"reservations": ` + string(out) + "\n", err
}

// staticMaps are those of pfSense's config.xml, which OPNsense inherited.
func staticMaps(n Network) (string, error) {
	type staticMap struct {
		XMLName xml.Name `xml:"staticmap"`
		MAC     string   `xml:"mac"`
		IP      string   `xml:"ipaddr,omitempty"`
		Name    string   `xml:"hostname"`
		Note    string   `xml:"descr"`
	}
	var b bytes.Buffer
	for _, r := range n.Reservations {
		out, err := xml.MarshalIndent(staticMap{MAC: r.MAC.String(), IP: text(r.Address), Name: r.Name, Note: r.Name + "." + n.Domain}, "", "  ")
		if err != nil {
			return "", err
		}
		b.Write(append(out, '\n'))
	}
	return b.String(), nil
}

// mikrotik: RouterOS, /ip dhcp-server lease.
func mikrotik(n Network) (string, error) {
	if err := addressed(n); err != nil {
		return "", err
	}
	return lines(n, func(r dhcpserver.Reservation) string {
		return fmt.Sprintf("/ip dhcp-server lease add mac-address=%s address=%s comment=%q", strings.ToUpper(r.MAC.String()), r.Address, r.Name+"."+n.Domain)
	}), nil
}

// unifi: a client of the UniFi Network application, a JSON object each.
func unifi(n Network) (string, error) {
	if err := addressed(n); err != nil {
		return "", err
	}
	type client struct {
		MAC   string `json:"mac"`
		Name  string `json:"name"`
		Fixed bool   `json:"use_fixedip"`
		IP    string `json:"fixed_ip"`
	}
	var b strings.Builder
	for _, r := range n.Reservations {
		out, err := json.Marshal(client{r.MAC.String(), r.Name, true, text(r.Address)})
		if err != nil {
			return "", err
		}
		b.WriteString(string(out) + "\n")
	}
	return b.String(), nil
}

// openwrt: UCI, the host sections of /etc/config/dhcp.
func openwrt(n Network) (string, error) {
	sections := lines(n, func(r dhcpserver.Reservation) string {
		commands := []string{"uci add dhcp host", set("name", r.Name), set("mac", r.MAC.String())}
		if r.Address.IsValid() {
			commands = append(commands, set("ip", r.Address.String()))
		}
		return strings.Join(commands, "\n")
	})
	return sections + "uci commit dhcp\nservice dnsmasq reload\n", nil
}

func set(option, value string) string {
	return fmt.Sprintf("uci set dhcp.@host[-1].%s='%s'", option, value)
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// addressed refuses reservations without an address.
func addressed(n Network) error {
	for _, r := range n.Reservations {
		if !r.Address.IsValid() {
			return fmt.Errorf("%s: %w", r.Name, ErrNeedsAddress)
		}
	}
	return nil
}
