//go:build servers

package peer

import (
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"strings"
)

// The least configuration that each server runs with: one loopback address,
// all files in one directory, no other user, no control channel.

func namedText(at netip.AddrPort, dir, include string) string {
	return fmt.Sprintf(`options {
	directory "%[1]s";
	listen-on port %[2]d { 127.0.0.1; };
	listen-on-v6 { none; };
	recursion no;
	pid-file none;
	session-keyfile none;
	managed-keys-directory "%[1]s";
	notify no;
};
controls { };
include "%[3]s";
`, dir, at.Port(), include)
}

func knotText(at netip.AddrPort, dir, include string) string {
	return fmt.Sprintf(`server:
    rundir: "%[1]s"
    listen: 127.0.0.1@%[2]d
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "%[1]s"
log:
  - target: stderr
    any: info
template:
  - id: default
    storage: "%[1]s"
include: "%[3]s"
`, dir, at.Port(), include)
}

func nsdText(at netip.AddrPort, dir, include string) string {
	return fmt.Sprintf(`server:
	ip-address: 127.0.0.1@%[2]d
	username: ""
	chroot: ""
	zonesdir: "%[1]s"
	database: ""
	pidfile: ""
	zonelistfile: "%[1]s/zone.list"
	xfrdfile: "%[1]s/xfrd.state"
	xfrdir: "%[1]s"
	server-count: 1
	rrl-ratelimit: 0
remote-control:
	control-enable: no
include: "%[3]s"
`, dir, at.Port(), include)
}

func dnsmasqText(at netip.AddrPort, dir, include string) string {
	name := ""
	if me, err := user.Current(); err == nil {
		name = "user=" + me.Username + "\n"
	}
	return fmt.Sprintf(`listen-address=127.0.0.1
port=%[2]d
bind-interfaces
no-resolv
no-hosts
pid-file=%[1]s/dnsmasq.pid
%[4]sconf-file=%[3]s
`, dir, at.Port(), include, name)
}

func unboundText(at netip.AddrPort, dir, include string) string {
	return fmt.Sprintf(`server:
	interface: 127.0.0.1@%[2]d
	do-daemonize: no
	num-threads: 1
	username: ""
	chroot: ""
	directory: "%[1]s"
	pidfile: ""
	use-syslog: no
	logfile: ""
	module-config: "iterator"
	do-not-query-localhost: no
remote-control:
	control-enable: no
include: "%[3]s"
`, dir, at.Port(), include)
}

// corednsText is the exported file with our address in each of its blocks: a
// Corefile has no other place for one.
func corednsText(at netip.AddrPort, _, include string) string {
	blocks, err := os.ReadFile(include)
	if err != nil {
		return err.Error() // which CoreDNS will not read
	}
	return strings.ReplaceAll(string(blocks), " {\n", fmt.Sprintf(":%d {\n\tbind %s\n", at.Port(), at.Addr()))
}
