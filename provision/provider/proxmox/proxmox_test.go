package proxmox_test

import (
	"testing"
	"time"

	"github.com/slipway-project/slipway/provision/provider/providertest"
)

const testLimit = time.Minute

func TestProvider(t *testing.T) {
	t.Run("with a pool", func(t *testing.T) {
		providertest.Run(t, func(t *testing.T) providertest.World { return newDatacentre(t, nil).world() })
	})
}
