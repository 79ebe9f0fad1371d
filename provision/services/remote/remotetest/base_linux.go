package remotetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// base is a small Debian in the cache, with a repository of haproxy's packages
// in it and no other.
func base(t testing.TB) string {
	t.Helper()
	return testbed.Debian(t, "+haproxy", "bookworm", []string{"openssh-server", "systemd", "iproute2", "sudo"}, func(root string) { stock(t, root) })
}

// stockScript leaves the packages that haproxy brings in a repository on the
// disk, the only one that apt then knows.
const stockScript = `set -e
apt-get update -q
apt-get install -q --yes --no-install-recommends --download-only haproxy
mkdir /srv/packages
mv /var/cache/apt/archives/*.deb /srv/packages
cd /srv/packages
for deb in *.deb; do
	dpkg-deb --field "$deb"
	echo "Filename: ./$deb"
	echo "Size: $(stat -c %s "$deb")"
	echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"
	echo
done >Packages
echo 'deb [trusted=yes] file:/srv/packages ./' >/etc/apt/sources.list
apt-get update -q
`

func stock(t testing.TB, root string) {
	t.Helper()
	lendNetwork(t, root, func() { run(t, "chroot", root, "/bin/sh", "-c", stockScript) })
}

// lendNetwork gives the system at root what it takes to reach this host's
// archive, for as long as do takes.
func lendNetwork(t testing.TB, root string, do func()) {
	t.Helper()
	proxies, _ := filepath.Glob("/etc/apt/apt.conf.d/*proxy*")
	for _, path := range append(proxies, "/etc/resolv.conf", "/etc/hosts") {
		text, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(root, path), text, 0o644))
	}
	do()
	for _, path := range proxies {
		must(t, os.Remove(filepath.Join(root, path)))
	}
}
