//go:build !linux

package qemu

import "testing"

// firstProcess does nothing: machines of tests run Linux.
func firstProcess(*testing.M) {}
