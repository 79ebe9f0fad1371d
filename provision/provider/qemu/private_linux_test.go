package qemu

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"

	"github.com/slipway-project/slipway/dhcpserver"
	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/provider"
)

// A stage of TestInside is what a process inside of a private network does.
const stageVariable = "SLIPWAY_QEMU_TEST_STAGE"

// TestInside is what others run inside, with a stage; it is no test by itself.
func TestInside(t *testing.T) {
	verb, address, _ := strings.Cut(os.Getenv(stageVariable), " ")
	switch verb {
	case "listen":
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("listening")
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(conn, "from inside")
		conn.Close()
	case "dial":
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(conn)
		fmt.Printf("got %s\n", text)
	case "where":
		dir, err := os.Getwd()
		fmt.Println(dir, err)
	case "decline":
		decline(t)
		fmt.Println("declined")
	case "lease":
		fmt.Println(lease(t, cmp.Or(address, "segment0")))
	}
}

// lease asks for an address, as a machine on the segment would: what it is
// given, or nothing.
func lease(t *testing.T, on string) string {
	t.Helper()
	segment, err := netlink.LinkByName(on)
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = "port", segment.Attrs().Index
	cable := netlink.NewVeth(attrs)
	cable.PeerName, cable.PeerHardwareAddr = "eth0", net.HardwareAddr{2, 0, 0, 0, 0, 0}
	if err := netlink.LinkAdd(cable); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(cable) }) // or it goes with the network
	for _, name := range []string{"port", "eth0"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	client, err := nclient4.New("eth0", nclient4.WithTimeout(time.Second), nclient4.WithRetry(2))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	granted, err := client.Request(within(t))
	if errors.Is(err, nclient4.ErrNoResponse) {
		return "nothing"
	}
	if err != nil {
		t.Fatal(err)
	}
	return granted.ACK.YourIPAddr.String()
}

// enter starts TestInside in the network of mark, and returns what it says.
func enter(t *testing.T, p *Provider, stage string) *bufio.Reader {
	t.Helper()
	argv, err := p.Enter(within(t), mark)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(within(t), argv[0], append(argv[1:], self, "-test.run=^TestInside$", "-test.timeout=1m")...)
	cmd.Env = append(os.Environ(), stageVariable+"="+stage, impatient)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = io.Copy(io.Discard, out); _ = cmd.Wait() })
	return bufio.NewReader(out)
}

func said(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return strings.TrimSpace(text)
}

func needTaps(t *testing.T) {
	t.Helper()
	needQEMU(t)
	testbed.Program(t, "nsenter")
	f, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	if err != nil {
		testbed.Missing(t, "taps: %v", err)
	}
	f.Close()
}

func onPrivate(t *testing.T) (*Provider, []provider.Published) {
	t.Helper()
	p := openedOn(t, directoryOf(t), NetworkPrivate)
	if err := os.MkdirAll(p.machines(), 0o700); err != nil {
		t.Fatal(err)
	}
	published, err := p.EnsureNet(within(t), mark, theNet())
	if err != nil {
		log, _ := os.ReadFile(p.runDir(mark.Cluster) + "/" + logFile)
		t.Fatalf("%v\n%s", err, log)
	}
	return p, published
}

func theNet() provider.Net {
	return provider.Net{
		Segments: []provider.Segment{{
			Bridge: "br0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24")},
		}},
		Publish: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:6443"), netip.MustParseAddrPort("192.0.2.2:443")},
	}
}

// Two clusters of the same name, each in a network of its own: what listens
// inside of one is reached from this host, and nothing of the other. Their
// machines have the same names, ids and MACs, and run at once.
func TestPrivateNetworksSideBySide(t *testing.T) {
	needTaps(t)
	seen := map[netip.AddrPort]bool{}
	var both []func() Guest
	for range 2 {
		p, published := onPrivate(t)
		for i, at := range published {
			if want := theNet().Publish[i]; at.Inside != want || !at.Host.Addr().IsLoopback() || seen[at.Host] {
				t.Errorf("%v is published at %v", at.Inside, at.Host)
			}
			seen[at.Host] = true
		}
		out := enter(t, p, "listen 192.0.2.2:6443")
		if got := said(t, out); got != "listening" {
			t.Fatal(got)
		}
		conn, err := net.DialTimeout("tcp", published[0].Host.String(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(conn)
		if conn.Close(); string(text) != "from inside\n" {
			t.Errorf("got %q, %v", text, err)
		}
		m := made(t, p, 0, halts)
		powered(t, p, m)
		until(t, "its guest runs", func() bool { return strings.Contains(console(t, p, m), line) })
		both = append(both, func() Guest { return guestOf(t, p, m) })
	}
	if a, b := both[0](), both[1](); !a.On || !b.On || a.PID == b.PID {
		t.Errorf("machines %+v and %+v", a, b)
	}
}

func TestPrivateNetworkHasAWayOut(t *testing.T) {
	needTaps(t)
	p, _ := onPrivate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			fmt.Fprint(conn, "from outside")
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if got := said(t, enter(t, p, "dial "+uplinkHost.String()+":"+port)); got != "got from outside" {
		t.Error(got)
	}
}

func TestPrivateNetworkAnswersItsMachinesByDHCP(t *testing.T) {
	needTaps(t)
	p, _ := onPrivate(t)
	n := theNet()
	n.Segments[0].Reservations = []dhcpserver.Reservation{{Name: "control-0", MAC: dhcpserver.MAC{2, 0, 0, 0, 0, 0}, Address: netip.MustParseAddr("192.0.2.10")}}
	if _, err := p.EnsureNet(within(t), mark, n); err != nil {
		t.Fatal(err)
	}
	if got := said(t, enter(t, p, "lease")); got != "192.0.2.10" {
		t.Error(got)
	}
}

func TestPrivateNetworkIsEnteredInPlace(t *testing.T) {
	needTaps(t)
	p, _ := onPrivate(t)
	t.Chdir(p.dir)
	if got := said(t, enter(t, p, "where")); got != p.dir+" <nil>" {
		t.Error(got)
	}
}

func TestPrivateNetworkRefusesTheNetworkOfTheWayOut(t *testing.T) {
	needTaps(t)
	p, _ := onPrivate(t)
	n := theNet()
	n.Segments[0].Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/16")}
	if _, err := p.EnsureNet(within(t), mark, n); err == nil || !strings.Contains(err.Error(), "10.0.0.0/16 overlaps 10.0.2.0/24, which is the way out") {
		t.Error(err)
	}
}

func TestCheckOfPrivateNetworks(t *testing.T) {
	needTaps(t)
	p := openedOn(t, directoryOf(t), NetworkPrivate)
	sameProblems(t, nil, p.Check(within(t), provider.Request{}))
	t.Setenv("PATH", "") // after QEMU was found
	s := new(survey)
	checkPrivate(s)
	sameProblems(t, []string{"fatal: nsenter is not installed"}, s.problems)
}

func TestPrivateNetworkIsReleased(t *testing.T) {
	needTaps(t)
	p, first := onPrivate(t)
	again, err := p.EnsureNet(within(t), mark, theNet())
	if err != nil || again[0] != first[0] {
		t.Errorf("the second time at %v, before %v, %v", again, first, err)
	}
	m := made(t, p, 0, halts)
	powered(t, p, m)
	keeper, err := p.supervisor(mark.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ReleaseNet(within(t), mark); err == nil || !strings.HasSuffix(err.Error(), ": machine control-0.mycluster.lab.test is on it") {
		t.Errorf("with a machine on it: %v", err)
	}
	if err := p.Release(within(t), m); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Enter(within(t), mark); err != nil {
		t.Errorf("down has to reach the installer still: %v", err)
	}
	for range 2 {
		if err := p.ReleaseNet(within(t), mark); err != nil {
			t.Fatal(err)
		}
	}
	if left := runs(t, p.dir); len(left) != 0 || keeper.Alive() {
		t.Errorf("processes %v are left", left)
	}
	if _, err := net.DialTimeout("tcp", first[0].Host.String(), time.Second); err == nil {
		t.Error("it is published still")
	}
}

func TestPrivateNetworkDiesWithItsSupervisor(t *testing.T) {
	needTaps(t)
	p, _ := onPrivate(t)
	m := made(t, p, 0, halts)
	powered(t, p, m)
	endKeeper(t, p, syscall.SIGKILL)
	until(t, "all of it is gone", func() bool { return len(runs(t, p.dir)) == 0 })
	if err := p.PowerOn(within(t), m); err == nil || !strings.Contains(err.Error(), "the private network of mycluster.lab.test is not there") {
		t.Errorf("power on without a network: %v", err)
	}
}
