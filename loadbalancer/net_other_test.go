//go:build !linux

package loadbalancer

func settle() error { return nil }
