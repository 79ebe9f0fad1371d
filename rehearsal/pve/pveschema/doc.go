// Package pveschema checks requests against the published schema of the
// Proxmox VE API: which methods exist, which parameters they take, and which
// values those may have. It is support for tests; the schema files are read
// when the test runs and are no part of this project.
//
// It knows the dialect independently of the simulator beside it, so that each
// is a check of the other.
package pveschema
