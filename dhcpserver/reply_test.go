package dhcpserver

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	at     = netip.MustParseAddr
	ours   = MAC{0x02, 0, 0, 0, 0, 1}
	theirs = MAC{0x02, 0, 0, 0, 0, 9}
)

func config() Config {
	return Config{
		Interface: "br0", Server: netip.MustParsePrefix("192.0.2.210/24"), Router: at("192.0.2.1"),
		DNS: []netip.Addr{at("192.0.2.210")}, NTP: []netip.Addr{at("192.0.2.123")}, MTU: 1400, Domain: "mycluster.lab.test",
		Reservations: []Reservation{{"control-0", ours, at("192.0.2.201")}},
	}
}

func sprint(v any) string { return fmt.Sprint(v) }

// message is one of a client that broadcasts.
func message(t testing.TB, kind dhcpv4.MessageType, from MAC, modify ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(from[:]), dhcpv4.WithMessageType(kind)}, modify...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wants(address string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(address)))
}

func chooses(server string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(server)))
}

func TestReply(t *testing.T) {
	const silence = dhcpv4.MessageTypeNone
	has := dhcpv4.WithClientIP
	for _, tt := range []struct {
		name string
		m    *dhcpv4.DHCPv4
		want dhcpv4.MessageType
	}{
		{"discover", message(t, dhcpv4.MessageTypeDiscover, ours), dhcpv4.MessageTypeOffer},
		{"discover with another address in mind", message(t, dhcpv4.MessageTypeDiscover, ours, wants("192.0.2.7")), dhcpv4.MessageTypeOffer},
		{"discover of a stranger", message(t, dhcpv4.MessageTypeDiscover, theirs), silence},
		{"request: our offer is taken", message(t, dhcpv4.MessageTypeRequest, ours, chooses("192.0.2.210"), wants("192.0.2.201")), dhcpv4.MessageTypeAck},
		{"request: another server's offer is taken", message(t, dhcpv4.MessageTypeRequest, ours, chooses("192.0.2.1"), wants("192.0.2.201")), silence},
		{"request: our offer, another address", message(t, dhcpv4.MessageTypeRequest, ours, chooses("192.0.2.210"), wants("192.0.2.7")), dhcpv4.MessageTypeNak},
		{"request after a reboot", message(t, dhcpv4.MessageTypeRequest, ours, wants("192.0.2.201")), dhcpv4.MessageTypeAck},
		{"request after a reboot elsewhere", message(t, dhcpv4.MessageTypeRequest, ours, wants("198.51.100.7")), dhcpv4.MessageTypeNak},
		{"renewing", message(t, dhcpv4.MessageTypeRequest, ours, has(net.IPv4(192, 0, 2, 201))), dhcpv4.MessageTypeAck},
		{"renewing what is no longer reserved", message(t, dhcpv4.MessageTypeRequest, ours, has(net.IPv4(192, 0, 2, 7))), dhcpv4.MessageTypeNak},
		{"request for nothing", message(t, dhcpv4.MessageTypeRequest, ours), dhcpv4.MessageTypeNak},
		{"request of a stranger", message(t, dhcpv4.MessageTypeRequest, theirs, wants("192.0.2.201")), silence},
		{"inform", message(t, dhcpv4.MessageTypeInform, ours, has(net.IPv4(192, 0, 2, 201))), dhcpv4.MessageTypeAck},
		{"release", message(t, dhcpv4.MessageTypeRelease, ours, has(net.IPv4(192, 0, 2, 201))), silence},
		{"decline", message(t, dhcpv4.MessageTypeDecline, ours, wants("192.0.2.201")), silence},
		{"an offer of somebody else", message(t, dhcpv4.MessageTypeOffer, ours, func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootReply }), silence},
		{"through a relay", message(t, dhcpv4.MessageTypeDiscover, ours, dhcpv4.WithGatewayIP(net.IPv4(198, 51, 100, 1))), silence},
		{"BOOTP, without a type", message(t, silence, ours), silence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := silence
			if reply := Reply(config(), tt.m); reply != nil {
				got = reply.MessageType()
			}
			if got != tt.want {
				t.Errorf("reply %s, want %s", got, tt.want)
			}
		})
	}
}

// What is granted says all that a machine needs to know of its network.
func TestGrant(t *testing.T) {
	m := message(t, dhcpv4.MessageTypeRequest, ours, wants("192.0.2.201"))
	got := Reply(config(), m)
	want := map[string]string{
		"your address": "192.0.2.201", "transaction": m.TransactionID.String(), "client": ours.String(),
		"server": "192.0.2.210", "mask": "ffffff00", "router": "[192.0.2.1]", "DNS": "[192.0.2.210]", "NTP": "[192.0.2.123]",
		"name": "control-0", "domain": "mycluster.lab.test", "MTU": "1400", "lease": "10m0s", "renew": "5m0s", "rebind": "8m45s",
	}
	mtu := got.GetOneOption(dhcpv4.OptionInterfaceMTU)
	have := map[string]string{
		"your address": got.YourIPAddr.String(), "transaction": got.TransactionID.String(), "client": got.ClientHWAddr.String(),
		"server": got.ServerIdentifier().String(), "mask": got.SubnetMask().String(),
		"router": sprint(got.Router()), "DNS": sprint(got.DNS()), "NTP": sprint(got.NTPServers()),
		"name": got.HostName(), "domain": got.DomainName(), "MTU": sprint(int(mtu[0])<<8 | int(mtu[1])),
		"lease": got.IPAddressLeaseTime(0).String(), "renew": got.IPAddressRenewalTime(0).String(), "rebind": got.IPAddressRebindingTime(0).String(),
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
	if to := destination(got); !to.IP.Equal(net.IPv4bcast) {
		t.Errorf("it goes to %s", to)
	}
	renewed := Reply(config(), message(t, dhcpv4.MessageTypeRequest, ours, dhcpv4.WithClientIP(net.IPv4(192, 0, 2, 201))))
	if to := destination(renewed); to.String() != "192.0.2.201:68" {
		t.Errorf("a renewal goes to %s", to)
	}
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":             {func(*Config) {}, ""},
		"no interface":     {func(c *Config) { c.Interface = "" }, "no interface is named"},
		"no server":        {func(c *Config) { c.Server = netip.Prefix{} }, "is not an IPv4 address"},
		"small MTU":        {func(c *Config) { c.MTU = 100 }, "MTU 100 is not between 576 and 65535"},
		"short lease":      {func(c *Config) { c.Lease = time.Second }, "lease 1s is shorter than a minute"},
		"far router":       {func(c *Config) { c.Router = at("198.51.100.1") }, "router 198.51.100.1 is outside of 192.0.2.0/24"},
		"far reservation":  {func(c *Config) { c.Reservations[0].Address = at("198.51.100.1") }, "control-0: address 198.51.100.1 is outside of 192.0.2.0/24"},
		"the server's":     {func(c *Config) { c.Reservations[0].Address = at("192.0.2.210") }, "the server itself and control-0 have the same address 192.0.2.210"},
		"the router's":     {func(c *Config) { c.Reservations[0].Address = at("192.0.2.1") }, "the router and control-0 have the same address 192.0.2.1"},
		"one MAC twice":    {func(c *Config) { c.Reservations = append(c.Reservations, Reservation{"x", ours, at("192.0.2.5")}) }, "control-0 and x have the same MAC address 02:00:00:00:00:01"},
		"no address given": {func(c *Config) { c.Reservations[0].Address = netip.Addr{} }, "is outside of"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			tt.change(&c)
			err := Validate(c)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestConfigSurvivesJSON(t *testing.T) {
	text, err := json.Marshal(config())
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config(), got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("after a round trip (-want +got):\n%s", diff)
	}
}

// Whatever arrives, strangers get no answer and nobody but the reserved
// machine gets its address.
func FuzzReply(f *testing.F) {
	for _, m := range []*dhcpv4.DHCPv4{
		message(f, dhcpv4.MessageTypeDiscover, ours), message(f, dhcpv4.MessageTypeDiscover, theirs),
		message(f, dhcpv4.MessageTypeRequest, ours, chooses("192.0.2.210"), wants("192.0.2.201")),
	} {
		f.Add(m.ToBytes())
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m, err := dhcpv4.FromBytes(packet)
		if err != nil {
			return
		}
		reply := Reply(config(), m)
		if reply == nil {
			return
		}
		if string(m.ClientHWAddr) != string(ours[:]) {
			t.Errorf("a stranger is answered: %s", m.Summary())
		}
		if !unset(reply.YourIPAddr) && !equal(reply.YourIPAddr, at("192.0.2.201")) {
			t.Errorf("it is given %s", reply.YourIPAddr)
		}
		if _, err := dhcpv4.FromBytes(reply.ToBytes()); err != nil {
			t.Errorf("the reply cannot be read: %v", err)
		}
	})
}

func TestNoticesAreSentences(t *testing.T) {
	for _, tt := range []struct {
		n    Notice
		want string
	}{
		{Notice{Granted, "control-0", at("192.0.2.201")}, "control-0 has 192.0.2.201 by DHCP"},
		{Notice{Declined, "control-0", at("192.0.2.201")}, "control-0 found its address 192.0.2.201 taken by another host"},
		{Notice{Refused, "control-0", at("192.0.2.201")}, "control-0 asked by DHCP for another address than 192.0.2.201"},
		{Notice{Kind: Stranger, Name: theirs.String()}, "02:00:00:00:00:09 asks for an address by DHCP, has no reservation, and gets no answer"},
		{Notice{Kind: Rival, Address: at("192.0.2.7")}, "another DHCP server, 192.0.2.7, answers: ours is silent until it is gone"},
		{Notice{Kind: Alone}, "no other DHCP server answers any more"},
	} {
		if got := tt.n.String(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.n.Kind, got, tt.want)
		}
	}
}
