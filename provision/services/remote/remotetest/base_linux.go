package remotetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// base is a small Debian in the cache, with a repository of haproxy's packages
// in it and no other.
func base(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("SLIPWAY_TEST_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		must(t, err)
		cache = filepath.Join(dir, "slipway-test")
	}
	dir := filepath.Join(cache, "debian+haproxy")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		without(t, "debootstrap is not installed")
	}
	must(t, os.MkdirAll(cache, 0o755))
	next, err := os.MkdirTemp(cache, "debian-")
	must(t, err)
	defer os.RemoveAll(next)
	run(t, "debootstrap", "--variant=minbase", "--include=openssh-server,systemd,iproute2,sudo", "bookworm", next, mirror(t))
	stock(t, next)
	must(t, os.Chmod(next, 0o755))
	must(t, os.Rename(next, dir))
	return dir
}

// mirror is where this system gets its own packages.
func mirror(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").Output()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || first == "" {
		without(t, fmt.Sprintf("no Debian archive is configured here: %v", err))
	}
	return strings.TrimSuffix(first, "/")
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
