//go:build !linux

package qemu

import (
	"errors"
	"os"

	"github.com/slipway-project/slipway/internal/qemu"
)

func plug(r record, _ *qemu.VM) ([]*os.File, error) {
	if r.Network != NetworkBridge {
		return nil, nil
	}
	return nil, errors.New("machines on a bridge need Linux")
}
