package export

import (
	"errors"
	"fmt"
	"strings"
)

// The resolvers of one machine: they carry no records, but ask our server for
// our names and everybody else for all others.

var errNoServer = errors.New("it needs the address of the server that answers")

// resolved writes three ways to the same end: a file that systemd 258 and later
// read, one that older ones read, and commands for one link.
func (j *job) resolved() error {
	if !j.Server.IsValid() {
		return errNoServer
	}
	var quoted, domains []string
	for _, z := range j.zones {
		quoted = append(quoted, "'~"+relative(z.Name)+"'")
		domains = append(domains, "~"+relative(z.Name))
	}
	j.file("slipway-"+j.title()+".dns-delegate", "# systemd 258 and later: for /etc/systemd/dns-delegate.d; then systemctl reload systemd-resolved.\n[Delegate]\nDNS=%s\nDomains=%s\n",
		j.server(), strings.Join(domains, " "))
	j.file("slipway-"+j.title()+".conf", "# Before systemd 258: for /etc/systemd/resolved.conf.d; then systemctl restart systemd-resolved.\n# Names of nobody's domain are asked here as well as of the links' servers.\n[Resolve]\nDNS=%s\nDomains=%s\n",
		j.server(), strings.Join(domains, " "))
	return j.resolvectl(strings.Join(quoted, " "))
}

// resolvectl writes the commands, when there is a link for them.
func (j *job) resolvectl(domains string) error {
	if strings.Trim(j.Interface, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@") != "" {
		return fmt.Errorf("%q is no name of a network interface", j.Interface)
	}
	if j.Interface != "" {
		j.file("resolvectl.sh", "# Until %[1]s is reset. They replace its own DNS servers: for a link (bridge, VPN) that is not\n# the way to all other names. Undo: resolvectl revert %[1]s\nresolvectl dns %[1]s %[2]s\nresolvectl domain %[1]s %[3]s\n",
			j.Interface, j.server(), domains)
	}
	return nil
}

// server is the server's address; its port only where it is not DNS's own.
func (j *job) server() string {
	if j.Server.Port() == 53 {
		return j.Server.Addr().String()
	}
	return j.Server.String()
}

// resolver writes the files of macOS, each named after the domain it is for
// (resolver(5)).
func (j *job) resolver() error {
	if !j.Server.IsValid() {
		return errNoServer
	}
	for _, z := range j.zones {
		j.file(relative(z.Name), "# For /etc/resolver. Seen by scutil --dns; dig and nslookup do not read it.\nnameserver %s\nport %d\n",
			j.Server.Addr(), j.Server.Port())
	}
	return nil
}

// nrpt writes the commands that fill the Name Resolution Policy Table of
// Windows. They may be run again.
func (j *job) nrpt() error {
	if !j.Server.IsValid() {
		return errNoServer
	}
	if j.Server.Port() != 53 {
		return fmt.Errorf("it needs port 53, the only one that Windows asks: the server is at %s", j.Server)
	}
	var b strings.Builder
	remove := fmt.Sprintf("Get-DnsClientNrptRule | Where-Object Comment -eq 'slipway %s' | Remove-DnsClientNrptRule -Force", j.title())
	fmt.Fprintf(&b, "# For an elevated PowerShell. Undo: the next line alone.\n%s\n", remove)
	for _, z := range j.zones {
		fmt.Fprintf(&b, "Add-DnsClientNrptRule -Namespace '.%s' -NameServers '%s' -Comment 'slipway %s'\n",
			relative(z.Name), j.Server.Addr(), j.title())
	}
	j.file("slipway-"+j.title()+".ps1", "%s", b.String())
	return nil
}
