// Package plan compares a cluster of the spec with what exists and lists the
// changes between them, in the order in which they are carried out.
//
// It is pure: no network, no process, no clock, so that the same spec and the
// same world always give the same plan, byte for byte. What people want to see
// before they confirm is part of it: addresses, MACs, UUIDs, DNS records and
// frontends. Secrets are not.
//
//	plan.go      the types, and Make and Teardown
//	machines.go  a change for each node and for each machine that is none
//	drift.go     how what is kept differs from the spec, and who mends that
//	names.go     what the cluster answers at, and what its router must know
//	explain.go   every default, and why each change is what it is
//	digest.go    which spec and which world the plan was made of
//	moved.go     whether a plan that was confirmed is still the one to carry out
package plan
