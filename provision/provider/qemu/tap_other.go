//go:build !linux

package qemu

import (
	"context"
	"os"

	"github.com/slipway-project/slipway/internal/netlab"
	"github.com/slipway-project/slipway/provision/provider"
)

func newTap(string, provider.NIC) (*os.File, error) { return nil, netlab.ErrUnsupported }

// Hold is not possible here.
func Hold(context.Context, string, string) error { return netlab.ErrUnsupported }
