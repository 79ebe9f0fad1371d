//go:build servers

package peer

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/testbed"
)

// A Kind is a DNS server: where it comes from and how it is run in one
// directory on one loopback address.
type Kind struct {
	Name    string
	program func(testing.TB) program
	config  string // file name in the directory
	args    func(config string) []string
	// text is the configuration around the file include, which holds the zones.
	text func(at netip.AddrPort, dir, include string) string
}

// The kinds there are.
var (
	Named = Kind{"named", packaged("bind9", "usr/sbin/named"), "named.conf",
		func(config string) []string { return []string{"-g", "-n", "1", "-c", config} }, namedText}
	Knot = Kind{"knotd", packaged("knot", "usr/sbin/knotd"), "knot.conf",
		func(config string) []string { return []string{"-c", config} }, knotText}
	NSD = Kind{"nsd", packaged("nsd", "usr/sbin/nsd"), "nsd.conf",
		func(config string) []string { return []string{"-d", "-c", config} }, nsdText}
	Dnsmasq = Kind{"dnsmasq", packaged("dnsmasq-base", "usr/sbin/dnsmasq"), "dnsmasq.conf",
		func(config string) []string { return []string{"-k", "-C", config} }, dnsmasqText}
	Unbound = Kind{"unbound", packaged("unbound", "usr/sbin/unbound"), "unbound.conf",
		func(config string) []string { return []string{"-d", "-c", config} }, unboundText}
	CoreDNS = Kind{"coredns", builtCoreDNS, "Corefile",
		func(config string) []string { return []string{"-conf", config} }, corednsText}
)

func packaged(pkg, path string) func(testing.TB) program {
	return func(t testing.TB) program { return fetch(t, pkg, path) }
}

// builtCoreDNS builds CoreDNS from the module beside ours.
func builtCoreDNS(t testing.TB) program {
	t.Helper()
	root, err := command(t.Context(), "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(strings.TrimSpace(root), "tools", "coredns")
	path := filepath.Join(testbed.Cache(t), "coredns")
	if _, err := command(t.Context(), module, "go", "build", "-o", path, "."); err != nil {
		testbed.Missing(t, "CoreDNS: %v", err)
	}
	version, err := command(t.Context(), module, "go", "list", "-m", "-f", "{{.Version}}", "github.com/coredns/coredns")
	if err != nil {
		t.Fatal(err)
	}
	return program{path: path, version: strings.TrimSpace(version)}
}

// Start runs a server of the kind in dir with the configuration file include,
// and returns where it answers. It ends with the test. ready is a name that it
// must answer for.
func (k Kind) Start(t testing.TB, dir, include, ready string) netip.AddrPort {
	t.Helper()
	p := k.program(t)
	at := freePort(t)
	config := filepath.Join(dir, k.config)
	if err := os.WriteFile(config, []byte(k.text(at, dir, filepath.Join(dir, include))), 0o644); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, k.Name+".log")
	ended := run(t, p, dir, log, k.args(config))
	if err := answers(t.Context(), at, ready, ended); err != nil {
		said, _ := os.ReadFile(log)
		t.Fatalf("%s %s: %v\n%s", k.Name, p.version, err, said)
	}
	t.Logf("%s %s", k.Name, p.version)
	return at
}

// run starts the program; its log is a file, so that nobody has to read.
func run(t testing.TB, p program, dir, log string, args []string) (ended <-chan struct{}) {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(p.path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = []string{"LD_LIBRARY_PATH=" + p.libraries, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with its children, of which NSD has some
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
		if said, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("%s", said)
		}
	})
	return done
}

// answers waits until the server answers for name.
func answers(ctx context.Context, at netip.AddrPort, name string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		m := new(dns.Msg).SetQuestion(name, dns.TypeSOA)
		last, err := dns.ExchangeContext(ctx, m, at.String())
		if err == nil && last.Rcode == dns.RcodeSuccess {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("it ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("no answer for %s: %v, %v", name, last, err)
		case <-tick.C:
		}
	}
}

// freePort finds a loopback port that neither UDP nor TCP uses.
func freePort(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := netip.MustParseAddrPort(tcp.Addr().String())
		udp, err := net.ListenPacket("udp", at.String())
		tcp.Close()
		if err == nil {
			udp.Close()
			return at
		}
	}
	t.Fatal("no port is free for UDP and TCP")
	return netip.AddrPort{}
}
