package qemu

import (
	"context"
	"fmt"
	"os"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// plug makes a tap for each network device of v, and returns their descriptors
// in order. A tap vanishes when the last descriptor of it is closed: with the
// machine, however that ends.
func (s *supervisor) plug(ctx context.Context, r record, v *qemu.VM) (taps []*os.File, err error) {
	if r.Network == networkUser {
		return nil, nil
	}
	for i, nic := range r.Machine.NICs {
		name := fmt.Sprintf("sw%s%d", r.Machine.ID, i)
		tap, err := s.tap(ctx, r.Network, name, nic)
		if err != nil {
			for _, t := range taps {
				t.Close()
			}
			return nil, err
		}
		taps = append(taps, tap)
		v.NICs[i].Tap, v.NICs[i].FD = name, 2+len(taps)
	}
	return taps, nil
}

// tap makes one here, or inside of the private network.
func (s *supervisor) tap(ctx context.Context, n Network, name string, nic provider.NIC) (*os.File, error) {
	if n == NetworkBridge {
		return newTap(name, nic)
	}
	_, tap, err := askHolder(ctx, s.run, netRequest{Tap: name, NIC: nic})
	if absent(err) {
		return nil, fmt.Errorf("the private network of %s is not there: %w", s.Owner, err)
	}
	if err == nil && tap == nil {
		err = fmt.Errorf("no tap %s came from the private network", name)
	}
	return tap, err
}
