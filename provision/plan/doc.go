// Package plan compares a cluster of the spec with what exists and lists the
// changes between them, in the order in which they are carried out.
//
// It is pure: no network, no process, no clock, so that the same spec and the
// same world always give the same plan, byte for byte. What people want to see
// before they confirm is part of it: addresses, MACs, UUIDs, DNS records and
// frontends. Secrets are not.
package plan
