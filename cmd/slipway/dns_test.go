package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/provision"
)

const dnsSpec = `
provider "proxmox" "home" { endpoint = "https://127.0.0.1:1" }
network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}
cluster "mycluster" {
  domain  = "lab.test"
  release = "okd-4.20"
  installer "assisted" { endpoint = "http://127.0.0.1:1" }
  services { address = "192.0.2.210" }
  machines "control" {
    count     = 1
    addresses = ["192.0.2.201"]
  }
}
`

const dnsZone = `$ORIGIN mycluster.lab.test.
$TTL 60
@         IN SOA api hostmaster %d 7200 900 1209600 10
api       IN A   192.0.2.210
api-int   IN A   192.0.2.210
*.apps    IN A   192.0.2.210
control-0 IN A   192.0.2.201
`

const dnsReverseZone = `$TTL 60
@   IN SOA api.mycluster.lab.test. hostmaster.mycluster.lab.test. 1 7200 900 1209600 10
210 IN PTR api.mycluster.lab.test.
210 IN PTR api-int.mycluster.lab.test.
201 IN PTR control-0.mycluster.lab.test.
`

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A dnsProcess is `slipway dns serve` in this process.
type dnsProcess struct {
	at      string // where it answers
	lines   *bufio.Scanner
	forward string // path of the zone of names
	reverse string
}

// serveDNS serves both zones, and more arguments, until the test ends.
func serveDNS(t *testing.T, args ...string) *dnsProcess {
	t.Helper()
	dir := t.TempDir()
	p := &dnsProcess{forward: write(t, filepath.Join(dir, "names"), fmt.Sprintf(dnsZone, 1)),
		reverse: write(t, filepath.Join(dir, "2.0.192.in-addr.arpa.zone"), dnsReverseZone)}
	r, w := io.Pipe()
	p.lines = bufio.NewScanner(r)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: w},
			append([]string{"dns", "serve", "--zone", p.forward, "--zone", p.reverse, "--listen", "127.0.0.1:0"}, args...))
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		go io.Copy(io.Discard, r)
		if code := <-ended; code != provision.ExitOK {
			t.Errorf("dns serve ended with %d", code)
		}
	})
	const zones = `serving mycluster.lab.test. (serial 1), 2.0.192.in-addr.arpa. (serial 1) on `
	line := p.line(t)
	at, ok := strings.CutPrefix(line, zones)
	if !ok {
		t.Fatalf("said %q, want %q", line, zones)
	}
	p.at = at
	return p
}

// line is the next line that dns serve says.
func (p *dnsProcess) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("dns serve said nothing more: %v", p.lines.Err())
	}
	return p.lines.Text()
}

func (p *dnsProcess) reload(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func (p *dnsProcess) ask(t *testing.T, name string, kind uint16) *dns.Msg {
	t.Helper()
	client := dns.Client{Timeout: 5 * time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, kind), p.at)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func (p *dnsProcess) address(t *testing.T) string {
	t.Helper()
	reply := p.ask(t, "control-0.mycluster.lab.test.", dns.TypeA)
	if len(reply.Answer) != 1 {
		t.Fatalf("answer %v", reply)
	}
	return reply.Answer[0].(*dns.A).A.String()
}

// What is wrong with the files is told, and the zones stay.
func TestDNSServeReloads(t *testing.T) {
	p := serveDNS(t)
	moved := strings.ReplaceAll(dnsZone, "192.0.2.201", "192.0.2.202")
	steps := []struct {
		name, text, reverse string
		says                []string
		address             string
	}{
		{"nothing changed", fmt.Sprintf(dnsZone, 1), dnsReverseZone,
			[]string{"reload: serving mycluster.lab.test. (serial 1), 2.0.192.in-addr.arpa. (serial 1)"}, "192.0.2.201"},
		{"the serial was forgotten", fmt.Sprintf(moved, 1), dnsReverseZone,
			[]string{"reload: zone mycluster.lab.test.: the records changed and serial 1 did not", "reload: still serving the zones as they were"}, "192.0.2.201"},
		{"the serial was raised", fmt.Sprintf(moved, 2), dnsReverseZone,
			[]string{"reload: serving mycluster.lab.test. (serial 2), 2.0.192.in-addr.arpa. (serial 1)"}, "192.0.2.202"},
		{"a file is broken", fmt.Sprintf(dnsZone, 3), dnsReverseZone + "nonsense\n",
			[]string{"reload: " + p.reverse + `: dns: not a TTL: "nonsense" at line: 6:8`, "reload: still serving the zones as they were"}, "192.0.2.202"},
		{"both files are broken", "nonsense", "nonsense",
			[]string{"reload: " + p.forward + `: dns: not a TTL: "nonsense" at line: 1:8`, "reload: " + p.reverse + `: dns: not a TTL: "nonsense" at line: 1:8`,
				"reload: still serving the zones as they were"}, "192.0.2.202"},
		{"all is well again", fmt.Sprintf(dnsZone, 3), dnsReverseZone,
			[]string{"reload: serving mycluster.lab.test. (serial 3), 2.0.192.in-addr.arpa. (serial 1)"}, "192.0.2.201"},
	}
	for _, step := range steps {
		write(t, p.forward, step.text)
		write(t, p.reverse, step.reverse)
		p.reload(t)
		var said []string
		for range step.says {
			said = append(said, p.line(t))
		}
		if diff := cmp.Diff(step.says, said); diff != "" {
			t.Errorf("%s: said (-want +got):\n%s", step.name, diff)
		}
		if got := p.address(t); got != step.address {
			t.Errorf("%s: control-0 is %s, want %s", step.name, got, step.address)
		}
	}
}

// Names of others are refused, or looked up for those who may ask.
func TestDNSServeForwards(t *testing.T) {
	upstream := serveDNS(t)
	alone := serveDNS(t, "--no-forward")
	if reply := alone.ask(t, "example.test.", dns.TypeA); reply.Rcode != dns.RcodeRefused || reply.RecursionAvailable {
		t.Errorf("without an upstream: %v", reply)
	}
	p := serveDNS(t, "--upstream", upstream.at)
	if reply := p.ask(t, "example.test.", dns.TypeA); !reply.RecursionAvailable || reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("the upstream refuses, we answer %v", reply)
	}
}

// Whole zones are for those named.
func TestDNSServeTransfers(t *testing.T) {
	for _, test := range []struct {
		args    []string
		records int
	}{{nil, 0}, {[]string{"--allow-transfer", "127.0.0.0/8"}, 7}} {
		p := serveDNS(t, test.args...)
		got := 0
		answers, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr("mycluster.lab.test."), p.at)
		if err != nil {
			t.Fatal(err)
		}
		for part := range answers {
			got += len(part.RR)
		}
		if got != test.records {
			t.Errorf("%v: %d records, want %d", test.args, got, test.records)
		}
	}
}

// slipwayHere runs slipway in this process.
func slipwayHere(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("SLIPWAY_HOME", t.TempDir())
	var out, errOut strings.Builder
	code = run(t.Context(), &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errOut}, args)
	return code, out.String(), errOut.String()
}

// A port that is taken is told with who has it.
func TestDNSServeNamesWhoHasThePort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	zone := write(t, filepath.Join(t.TempDir(), "zone"), fmt.Sprintf(dnsZone, 1))
	code, _, stderr := slipwayHere(t, "dns", "serve", "--zone", zone, "--listen", l.Addr().String())
	if want := fmt.Sprintf("address already in use by slipway.test (pid %d)", os.Getpid()); code != provision.ExitOther || !strings.Contains(stderr, want) {
		t.Errorf("exit %d, %q; want %q", code, stderr, want)
	}
}

func TestDNSCheck(t *testing.T) {
	spec := write(t, filepath.Join(t.TempDir(), "cluster.hcl"), dnsSpec)
	p := serveDNS(t)
	code, stdout, stderr := slipwayHere(t, "dns", "check", "-f", spec, "--server", p.at)
	if code != provision.ExitOK || stderr != "" || strings.Count(stdout, " ok\n") != 12 || strings.Count(stdout, "\n") != 13 {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}

	write(t, p.forward, fmt.Sprintf(dnsZone, 2)+"* IN A 192.0.2.1\n") // the classic mistake
	p.reload(t)
	p.line(t)
	code, stdout, stderr = slipwayHere(t, "dns", "check", "-f", spec, "--server", p.at)
	row := regexp.MustCompile(`validateNoWildcardDNS.mycluster.lab.test. +A +NXDOMAIN +192.0.2.1 +wrong`)
	if code != provision.ExitPreflight || !row.MatchString(stdout) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	want := "slipway: error: 2 of 12 answers of DNS server " + p.at + " are wrong\n" +
		"slipway: hint: validateNoWildcardDNS.mycluster.lab.test. exists, which the installer takes for a wildcard: remove *.mycluster.lab.test, and whatever answers for every name\n"
	if diff := cmp.Diff(want, stderr); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
	code, stdout, _ = slipwayHere(t, "dns", "check", "-f", spec, "--server", p.at, "-o", "json")
	if code != provision.ExitPreflight || !strings.Contains(stdout, `"got": "192.0.2.1"`) || !strings.Contains(stdout, `"server": "`+p.at+`"`) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

// A server that is not there is one error, not a table of them.
func TestDNSCheckWithoutAServer(t *testing.T) {
	spec := write(t, filepath.Join(t.TempDir(), "cluster.hcl"), dnsSpec)
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	code, stdout, stderr := slipwayHere(t, "dns", "check", "-f", spec, "--server", l.LocalAddr().String())
	if want := "DNS server " + l.LocalAddr().String() + ": connection refused"; code != provision.ExitPreflight || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("exit %d, %q, %q; want %q", code, stdout, stderr, want)
	}
}

// Only nodes of the spec can be asked from, once the cluster has a key.
func TestDNSCheckFromANode(t *testing.T) {
	spec := write(t, filepath.Join(t.TempDir(), "cluster.hcl"), dnsSpec)
	for _, test := range []struct {
		node, want string
		code       int
	}{
		{"worker-7", `the spec has no node "worker-7", only control-0`, provision.ExitUsage},
		{"control-0", "slipway: hint: the key is made by `slipway up`", provision.ExitPreflight},
	} {
		code, stdout, stderr := slipwayHere(t, "dns", "check", "-f", spec, "--node", test.node)
		if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit %d, %q, %q; want %d, %q", test.node, code, stdout, stderr, test.code, test.want)
		}
	}
}

func TestOriginOf(t *testing.T) {
	for file, want := range map[string]string{
		"lab.test":              "lab.test.",
		"/etc/z/lab.test.zone":  "lab.test.",
		"db.lab.test":           "lab.test.",
		"lab.test.db":           "lab.test.",
		"2.0.192.in-addr.arpa.": "2.0.192.in-addr.arpa.",
	} {
		if got := originOf(file); got != want {
			t.Errorf("originOf(%q) = %q, want %q", file, got, want)
		}
	}
}

// Relative names belong to the zone, as with other servers.
func TestReadZone(t *testing.T) {
	const soa = " 60 IN SOA a hostmaster 1 7200 900 1209600 60\n"
	tests := []struct{ name, file, text, zone, record string }{
		{"$ORIGIN decides", "x.zone", "$ORIGIN lab.test.\n@" + soa + "a 60 IN A 192.0.2.1\n", "lab.test.", "a.lab.test."},
		{"else the owner of the SOA record", "x.zone", "lab.test." + soa + "a 60 IN A 192.0.2.1\n", "lab.test.", "a.lab.test."},
		{"else the name of the file", "lab.test.zone", "@" + soa + "a 60 IN A 192.0.2.1\n", "lab.test.", "a.lab.test."},
		{"a relative owner is below the file's name", "test.zone", "lab" + soa + "a.lab 60 IN A 192.0.2.1\n", "lab.test.", "a.lab.test."},
	}
	for _, test := range tests {
		z, err := readZone(write(t, filepath.Join(t.TempDir(), test.file), test.text))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if last := z.Records[len(z.Records)-1].Name; z.Name != test.zone || last != test.record {
			t.Errorf("%s: zone %s, record %s; want %s, %s", test.name, z.Name, last, test.zone, test.record)
		}
	}
}
