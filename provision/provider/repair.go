package provider

import "context"

// A Repairer is a Provider that can put right a machine which was changed
// behind slipway's back. It is optional: plans of providers without it say
// that drift stays.
type Repairer interface {
	// Repair brings what is safe to change to what m asks: the CD, the boot
	// order, CPUs and memory while the machine is off, tags. It returns what
	// it left as it is and why, a sentence each, for people. It starts and
	// stops nothing, may be repeated, and touches no machine that does not
	// carry m's mark; one that is gone is an error.
	Repair(ctx context.Context, m Machine) (left []string, err error)
}
