// Package spec reads cluster specs written in HCL.
//
// Load parses the files, gathers every problem with its place, and returns
// clusters whose every reference is resolved. Nothing is contacted and no
// secret is read.
package spec
