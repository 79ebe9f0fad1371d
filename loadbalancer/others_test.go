//go:build servers

package loadbalancer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// What is rendered for nginx and keepalived is read by them: the programs come
// from the distribution by its own client, and are unpacked into a cache, never
// installed. They run in a network namespace that has the addresses.
func TestOthersReadTheirConfigurations(t *testing.T) {
	root := testbed.Packages(t, "nginx", "libnginx-mod-stream", "keepalived")
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
