package spec

import (
	"crypto/sha256"
	"fmt"
	"net"

	"github.com/google/uuid"
)

// namespace is slipway's own, for UUIDs of version 5 (RFC 9562, 5.5). To
// change it is to lose every machine that was made before.
var namespace = uuid.MustParse("863f4a5b-aba7-48b4-b736-341f9b9ed1f3")

// uuidOf is the SMBIOS UUID of the node with that full name.
func uuidOf(full string) uuid.UUID { return uuid.NewSHA1(namespace, []byte(full)) }

// macOf is the MAC of a node's NIC: 02, locally administered and unicast, and
// the first five bytes of the SHA-256 of "<full name>/<index>".
func macOf(full string, nic int) net.HardwareAddr {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", full, nic))
	return append(net.HardwareAddr{0x02}, sum[:5]...)
}
