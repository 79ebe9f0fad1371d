package provider

import (
	"context"
	"io"
)

// A Consoler is a Provider that keeps what machines write to their console.
type Consoler interface {
	// Console returns the end of what m wrote, oldest first, of all its boots:
	// what to show when a machine does not come up. The caller closes it. A
	// machine that never ran is os.ErrNotExist.
	Console(ctx context.Context, m Machine) (io.ReadCloser, error)
}
