package sshx

import (
	"bytes"

	"golang.org/x/crypto/ssh"
)

// KnownHosts returns lines for a known_hosts file (sshd(8)) that give host the
// keys under the names; none when there are none. host is what ssh looks it up
// by: a name given as HostKeyAlias.
func (b *Book) KnownHosts(host string, names ...string) []byte {
	var lines bytes.Buffer
	for _, name := range names {
		if key := b.get(name); key != nil {
			lines.Write(KnownHost(host, key))
		}
	}
	return lines.Bytes()
}

// KnownHost is the line for one key.
func KnownHost(host string, key ssh.PublicKey) []byte {
	return append([]byte(host+" "), ssh.MarshalAuthorizedKey(key)...)
}
