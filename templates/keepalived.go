package templates

import (
	_ "embed"
	"net/netip"
)

// KeepalivedData is what a keepalived configuration is made of.
type KeepalivedData struct {
	Interface string     // network interface that the address moves to
	RouterID  int        // 1 to 255, of this address alone in its network
	Address   netip.Addr // that moves
	RunDir    string     // of haproxy: holds health.sock
}

const keepalivedHeader = `# Written by slipway, the same for two hosts or more: whoever has a working
# haproxy may take the address, and keeps it.

`

//go:embed keepalived.conf.tmpl
var keepalivedText string

var keepalived = parse("keepalived.conf", keepalivedText)

// Keepalived renders a keepalived configuration.
func Keepalived(d KeepalivedData) ([]byte, error) {
	out, err := execute(keepalived, d, `"`)
	if err != nil {
		return nil, err
	}
	return append([]byte(keepalivedHeader), out...), nil
}
