//go:build rehearse

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/testbed"
)

const namedSecret = "c2xpcHdheS1yZWhlYXJzYWwtc2VjcmV0LW9mLXRzaWc="

// up puts the names into a real named by RFC 2136 before anything boots, the
// nodes ask it, and down takes exactly those names out again.
func TestRehearseRFC2136(t *testing.T) {
	t.Parallel()
	spec := variant(t, "provider \"proxmox\"", "secret \"tsig\" {\n  env = \"TSIG\"\n}\n\nprovider \"proxmox\"",
		"address = cidrhost(local.lan, 210) # DNS and load balancer, on this host",
		"address = cidrhost(local.lan, 210)\n    dns {\n      mode   = \"rfc2136\"\n      server = \"192.0.2.53\"\n      key    = \"slipway.\"\n      secret = secret.tsig\n    }")
	w := openTestWorld(t, spec)
	secret := filepath.Join(w.dir, "secrets", "tsig") // the rehearsal's stand-in
	if err := os.WriteFile(secret, []byte(namedSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := w.command("ip", "addr", "add", "192.0.2.53/24", "dev", "eth0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stop := w.startNamed(t)
	w.must(t, "up", "--yes", "-f", spec)
	if got := strings.TrimSpace(w.run(t, "dig", "@192.0.2.53", "+short", "worker-1.mycluster.lab.test")); got != "192.0.2.205" {
		t.Errorf("worker-1 is %q at named", got)
	}
	w.must(t, "down", "--yes", "-f", spec)
	for _, zone := range []string{"mycluster.lab.test", "2.0.192.in-addr.arpa"} {
		left := strings.Fields(w.run(t, "sh", "-c", "dig @192.0.2.53 +noall +answer -y hmac-sha256:slipway.:"+namedSecret+" AXFR "+zone+" | awk '{print $4}' | sort -u"))
		if strings.Join(left, " ") != "A NS SOA TXT" { // the zone's own, and somebody's TXT
			t.Errorf("%s has records of the types %v left", zone, left)
		}
	}
	stop()
	w.noResidue(t)
}

// startNamed runs the named of the distribution.
func (w *testWorld) startNamed(t *testing.T) (stop func()) {
	t.Helper()
	root := testbed.Packages(t, "bind9")
	dir := t.TempDir()
	conf := fmt.Sprintf("options { directory %q; pid-file none; listen-on { 192.0.2.53; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; session-keyfile none; };\ncontrols {};\nkey slipway. { algorithm hmac-sha256; secret %q; };\n", dir, namedSecret)
	for _, zone := range []string{"mycluster.lab.test", "2.0.192.in-addr.arpa"} {
		conf += fmt.Sprintf("zone %q { type primary; file %q; allow-transfer { key slipway.; }; update-policy { grant slipway. zonesub ANY; }; };\n", zone, zone)
		text := "$TTL 60\n@ SOA ns hostmaster 1 7200 900 1209600 10\n@ NS ns\nns A 192.0.2.53\nforeign TXT \"somebody's\"\n"
		if err := os.WriteFile(filepath.Join(dir, zone), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "named.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	cmd := w.command(filepath.Join(root, "usr/sbin/named"), "-g", "-c", path)
	cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(w.run(t, "dig", "@192.0.2.53", "+time=1", "+tries=1", "SOA", "mycluster.lab.test"), "status: NOERROR"); {
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			cmd.Wait()
			t.Fatalf("named does not answer:\n%s", log.String())
		}
	}
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
}
