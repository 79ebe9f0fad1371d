package dhcpserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
)

// A question is asked three times, for a link that just came up may lose the
// first, and each time offers are waited for.
const (
	probeTimes = 3
	probeFor   = time.Second
)

// Probe asks, as a machine nobody has heard of, for an address on the link,
// and returns the first server that offers one: zero when nobody does within
// three seconds. Offers of the server at own do not count.
func Probe(ctx context.Context, link string, own netip.Addr) (netip.Addr, error) {
	conn, err := server4.NewIPv4UDPConn(link, &net.UDPAddr{Port: dhcpv4.ClientPort})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look for DHCP servers on %s: %w", link, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	question, err := stranger()
	for i := 0; err == nil && i < probeTimes; i++ {
		var server netip.Addr
		if server, err = ask(conn, question, own); server.IsValid() {
			return server, nil
		}
	}
	if ctx.Err() != nil {
		return netip.Addr{}, context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("look for DHCP servers on %s: %w", link, err)
	}
	return netip.Addr{}, err
}

// ask puts the question once and returns who makes an offer, if anybody does.
func ask(conn net.PacketConn, question *dhcpv4.DHCPv4, own netip.Addr) (netip.Addr, error) {
	if _, err := conn.WriteTo(question.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}); err != nil {
		return netip.Addr{}, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(probeFor)); err != nil {
		return netip.Addr{}, err
	}
	return offer(conn, question.TransactionID, own)
}

// probeClass is the vendor class of our questions, which servers like this one
// pass over in silence.
const probeClass = "slipway-probe"

// stranger is the question of a machine with a random, locally administered
// MAC, which nobody has a reservation for.
func stranger() (*dhcpv4.DHCPv4, error) {
	mac := make(net.HardwareAddr, 6)
	_, _ = rand.Read(mac) // never fails
	mac[0] = mac[0]&^1 | 2
	return dhcpv4.NewDiscovery(mac, dhcpv4.WithBroadcast(true), dhcpv4.WithOption(dhcpv4.OptClassIdentifier(probeClass)))
}

// offer reads until an offer for id arrives or time is up.
func offer(conn net.PacketConn, id dhcpv4.TransactionID, own netip.Addr) (netip.Addr, error) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return netip.Addr{}, nil
		}
		if err != nil {
			return netip.Addr{}, err
		}
		m, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil || m.TransactionID != id || m.MessageType() != dhcpv4.MessageTypeOffer {
			continue
		}
		if at := serverOf(m, from); at != own {
			return at, nil
		}
	}
}

// serverOf is who made an offer: by its own account, else by its address.
func serverOf(m *dhcpv4.DHCPv4, from net.Addr) netip.Addr {
	if at, ok := netip.AddrFromSlice(m.ServerIdentifier()); ok {
		return at.Unmap()
	}
	if udp, ok := from.(*net.UDPAddr); ok {
		return udp.AddrPort().Addr().Unmap()
	}
	return netip.IPv4Unspecified()
}
