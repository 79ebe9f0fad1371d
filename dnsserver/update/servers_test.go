//go:build servers

package update

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-project/slipway/dnsserver/internal/peer"
)

// The suite holds on the servers that people have.
func TestPushToServers(t *testing.T) {
	tests := []struct {
		name  string
		kind  peer.Kind
		whole bool
		text  string // of the zones; %s is the directory
	}{
		{"named, with transfers", peer.Named, true, namedZones("key slipway;")},
		{"named, without", peer.Named, false, namedZones("none;")},
		{"knotd, with transfers", peer.Knot, true, knotZones("update, transfer")},
		{"knotd, without", peer.Knot, false, knotZones("update")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			suite(t, tt.whole, func(t *testing.T) primary {
				dir := t.TempDir()
				for name, text := range map[string]string{"zones.conf": tt.text, "lab.test.zone": foreignRecords, arpa + "zone": foreignReverse} {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				return primary{tt.kind.Start(t, dir, "zones.conf", "lab.test.")}
			})
		})
	}
}

func namedZones(transfer string) string {
	text := fmt.Sprintf("key slipway { algorithm hmac-sha256; secret %q; };\n", testSecret)
	for _, zone := range []string{"lab.test.", arpa} {
		text += fmt.Sprintf("zone %q { type primary; file \"%szone\"; update-policy { grant slipway zonesub ANY; }; allow-transfer { %s }; };\n", zone, zone, transfer)
	}
	return text
}

func knotZones(actions string) string {
	text := fmt.Sprintf("key:\n  - id: slipway\n    algorithm: hmac-sha256\n    secret: %s\nacl:\n  - id: slipway\n    key: slipway\n    action: [%s]\nzone:\n", testSecret, actions)
	for _, zone := range []string{"lab.test.", arpa} {
		text += fmt.Sprintf("  - domain: %s\n    file: %szone\n    acl: slipway\n", zone, zone)
	}
	return text
}
