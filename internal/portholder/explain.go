package portholder

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/slipway-project/slipway/internal/hint"
)

// Probe binds addr and lets go again, to find trouble before it costs
// anything; network is "tcp" or "udp". The error is Explain's.
func Probe(network string, addr netip.AddrPort) error {
	if network == "udp" {
		c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
		if err != nil {
			return Explain(network, addr, err)
		}
		return c.Close()
	}
	l, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return Explain(network, addr, err)
	}
	return l.Close()
}

// Explain wraps the error of binding addr: it names the process that has the
// port, and carries the way out as a hint. It returns nil for nil.
func Explain(network string, addr netip.AddrPort, err error) error {
	subject := "bind " + network + " " + addr.String()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return inUse(subject, network, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return hint.With(fmt.Errorf("%s: no interface of this host has the address: %w", subject, syscall.EADDRNOTAVAIL), addAddress(addr.Addr()))
	case errors.Is(err, syscall.EACCES):
		return hint.With(fmt.Errorf("%s: %w", subject, syscall.EACCES), privilege(addr.Port()))
	}
	return fmt.Errorf("%s: %w", subject, err)
}

func inUse(subject, network string, addr netip.AddrPort) error {
	name, pid, ok := Holder(network, addr)
	if !ok {
		return hint.With(fmt.Errorf("%s: %w", subject, syscall.EADDRINUSE),
			fmt.Sprintf("find who has it with: sudo ss -lnp 'sport = :%d'", addr.Port()))
	}
	return hint.With(fmt.Errorf("%s: %w by %s (pid %d)", subject, syscall.EADDRINUSE, name, pid), wayOut(name, pid, addr))
}

// wayOut is what to do about a known holder. The kernel cuts process names to
// 15 bytes (proc(5), comm).
func wayOut(name string, pid int, addr netip.AddrPort) string {
	if pid == os.Getpid() {
		return "this process has it: the address is served already, or only just being closed"
	}
	switch name {
	case "systemd-resolve":
		return "use an address of the network, which the stub resolver leaves alone, or turn the stub off: " +
			`mkdir -p /etc/systemd/resolved.conf.d && printf '[Resolve]\nDNSStubListener=no\n' >/etc/systemd/resolved.conf.d/slipway.conf && systemctl restart systemd-resolved`
	case "dnsmasq":
		return "if it is libvirt's (virsh net-list), use another address than the bridge's; otherwise keep it off this one: " +
			fmt.Sprintf(`printf 'bind-interfaces\nexcept-interface=%s\n' >/etc/dnsmasq.d/slipway.conf && systemctl restart dnsmasq`, interfaceOf(addr.Addr()))
	case "slipway":
		return fmt.Sprintf("another slipway serves here: `slipway down` of its cluster ends it, or kill %d", pid)
	}
	return fmt.Sprintf("stop %s (kill %d, or the unit systemctl status %d names), or use another address", name, pid, pid)
}

func privilege(port uint16) string {
	binary, err := os.Executable()
	if err != nil {
		binary = "slipway"
	}
	return fmt.Sprintf("port %d needs a privilege: setcap cap_net_bind_service=+ep %s, AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit, or sysctl -w net.ipv4.ip_unprivileged_port_start=%d",
		port, binary, port)
}

// addAddress is the command that gives this host the address, with the
// interface and the prefix of the network it belongs to.
func addAddress(a netip.Addr) string {
	if dev, p, ok := networkOf(a); ok {
		return fmt.Sprintf("ip addr add %s/%d dev %s", a, p.Bits(), dev)
	}
	return fmt.Sprintf("no interface is in a network with %s; on the one that should be: ip addr add %s/%d dev INTERFACE", a, a, a.BitLen())
}

// networkOf finds the interface with an address in the same network.
func networkOf(a netip.Addr) (dev string, p netip.Prefix, ok bool) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return "", p, false
	}
	for _, i := range interfaces {
		for _, have := range prefixes(i) {
			if have.Contains(a) {
				return i.Name, have, true
			}
		}
	}
	return "", p, false
}

func interfaceOf(a netip.Addr) string {
	if dev, _, ok := networkOf(a); ok {
		return dev
	}
	return "INTERFACE"
}

func prefixes(i net.Interface) []netip.Prefix {
	addrs, err := i.Addrs()
	if err != nil {
		return nil // the interface went away
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p)
		}
	}
	return out
}
