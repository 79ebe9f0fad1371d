package proxmox_test

import (
	"testing"
	"time"

	"github.com/slipway-project/slipway/provision/provider/providertest"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

const testLimit = time.Minute

func TestProvider(t *testing.T) {
	for _, c := range []struct {
		name, pool string
		change     func(*pve.Config)
	}{
		{"with a token confined to a pool", "slipway", nil},
		{"without a pool", "", func(c *pve.Config) { c.Tokens[0].ACL = allRights }},
		{"on Proxmox VE 8", "slipway", func(c *pve.Config) { c.Version = "8.4.1" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.World {
				d := newDatacentre(t, c.change)
				d.pool = c.pool
				return d.world()
			})
		})
	}
}
