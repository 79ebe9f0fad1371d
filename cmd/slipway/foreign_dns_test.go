//go:build rehearse

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// With the user's own DNS server up refuses to begin while that lacks names,
// and once it has them the cluster comes up with serve only balancing.
func TestRehearseExternalDNS(t *testing.T) {
	t.Parallel()
	spec := servicesSpec(t, "address = cidrhost(local.lan, 210)", "dns {", `mode = "external"`, `server = "192.0.2.53"`, "}")
	w := openTestWorld(t, spec)
	w.fails(t, 12, nil, "up", "--yes", "-f", spec)
	w.ip(t, "addr", "add", "192.0.2.53/24", "dev", "eth0")
	zones := w.must(t, "dns", "records", "-f", spec, "-o", "zone")
	withoutNode := strings.ReplaceAll(zones, "control-1.mycluster.lab.test.\t60\tIN\tA", "other.mycluster.lab.test.\t60\tIN\tA")
	stop := w.serveZones(t, withoutNode)
	if stderr := w.fails(t, 12, nil, "up", "--yes", "-f", spec); !strings.Contains(stderr, "answers control-1.mycluster.lab.test. A with NXDOMAIN, not 192.0.2.202") {
		t.Errorf("stderr does not name the missing record:\n%s", stderr)
	}
	stop()
	stop = w.serveZones(t, zones)
	w.must(t, "up", "--yes", "-f", spec)
	if out := w.run(t, "dig", "@192.0.2.210", "+time=1", "+tries=1", "api.mycluster.lab.test"); strings.Contains(out, "ANSWER SECTION") {
		t.Errorf("serve answers DNS although somebody else is to:\n%s", out)
	}
	w.must(t, "down", "--yes", "-f", spec)
	stop()
	w.noResidue(t)
}

// serveZones runs a DNS server of the user's at 192.0.2.53.
func (w *testWorld) serveZones(t *testing.T, zones string) (stop func()) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"dns", "serve", "--listen", "192.0.2.53:53"}
	for i, text := range splitZones(zones) {
		path := filepath.Join(dir, string(rune('a'+i))+".zone")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--zone", path)
	}
	cmd := w.slipway(t, args...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = stderr.Read(make([]byte, 1)) // it says when it serves
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
}

// splitZones cuts master files apart at their SOA records.
func splitZones(text string) (zones []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "\tSOA\t") {
			zones = append(zones, "")
		}
		zones[len(zones)-1] += line
	}
	return zones
}
