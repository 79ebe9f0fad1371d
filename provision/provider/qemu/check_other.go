//go:build !linux

package qemu

// Check ends before these are asked.
func (*Provider) checkMemory(*survey) {}

func (*Provider) checkLinks(*survey) {}
