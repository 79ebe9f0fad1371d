//go:build servers

package loadbalancer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What is rendered for nginx and keepalived is read by them: the programs come
// from the distribution by its own client, and are unpacked into a cache, never
// installed. They run in a network namespace that has the addresses.
func TestOthersReadTheirConfigurations(t *testing.T) {
	root := unpacked(t, "nginx", "libnginx-mod-stream", "keepalived")
	for _, tt := range topologies[:len(topologies)-1] {
		t.Run("nginx "+tt.name, func(t *testing.T) {
			text, err := RenderNginx(tt.config)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf("load_module %s/usr/lib/nginx/modules/ngx_stream_module.so;\nerror_log stderr;\npid %s/pid;\nevents {}\n%s", root, dir, text))
			inNamespace(t, root, "nginx", "-t", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
		})
	}
	t.Run("keepalived", func(t *testing.T) {
		text, err := RenderKeepalived(topologies[0].config, "eth0", "/run/haproxy")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "keepalived.conf")
		write(t, file, string(text))
		inNamespace(t, root, "keepalived", "-t", "-f", file)
	})
}

// inNamespace runs a program of the cache beside an eth0 with the services
// addresses of our topologies.
func inNamespace(t *testing.T, root, program string, args ...string) {
	t.Helper()
	const network = `ip link set lo up && ip link add eth0 type veth peer name eth1 && ip link set eth0 up &&
		ip addr add 192.0.2.210/32 dev lo && ip -6 addr add 2001:db8::210/128 dev lo && exec "$@"`
	cmd := exec.Command("unshare", append([]string{"-n", "sh", "-c", network, "sh", filepath.Join(root, "usr/sbin", program)}, args...)...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "usr/lib/x86_64-linux-gnu")+":"+filepath.Join(root, "lib/x86_64-linux-gnu"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %q: %v\n%s", program, args, err, out)
	}
}

var toInstall = regexp.MustCompile(`(?m)^Inst (\S+)`)

// unpacked returns the directory that holds the packages and the libraries
// that installing them would bring.
func unpacked(t *testing.T, packages ...string) string {
	t.Helper()
	root := filepath.Join(cache(t), strings.Join(packages, "+"))
	if _, err := os.Stat(root); err == nil {
		return root
	}
	dir := t.TempDir()
	out := distribution(t, dir, "apt-get", append([]string{"install", "--simulate", "--no-install-recommends"}, packages...)...)
	wanted := []string{"download"}
	for _, m := range toInstall.FindAllStringSubmatch(out, -1) {
		if m[1] != "libc6" && m[1] != "libc-bin" {
			wanted = append(wanted, m[1])
		}
	}
	distribution(t, dir, "apt-get", wanted...)
	distribution(t, dir, "sh", "-c", "for deb in *.deb; do dpkg-deb -x $deb root || exit 1; done")
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	distribution(t, dir, "cp", "-a", "root", root)
	return root
}

// cache is the directory for what tests fetch.
func cache(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("SLIPWAY_TEST_CACHE"); dir != "" {
		return dir
	}
	user, err := os.UserCacheDir()
	if err != nil {
		without(t, fmt.Sprintf("no cache for packages: %v; set SLIPWAY_TEST_CACHE", err))
	}
	return filepath.Join(user, "slipway-test")
}

// distribution runs a command of the distribution's, without which there is no test.
func distribution(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		without(t, fmt.Sprintf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out))
	}
	return string(out)
}
