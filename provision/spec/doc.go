// Package spec reads cluster specs written in HCL.
//
// Load parses the files, gathers every problem with its place, and returns
// clusters whose every reference is resolved. Nothing is contacted and no
// secret is read. The way through it:
//
//	files.go, load.go       which files, parsed and joined with the override
//	eval.go                 locals and secrets, in the order they need each other
//	cluster.go              the result: the types everybody else sees
//	network.go, machines.go one file a block: raw block in, value out
//	check.go, allot.go      what only the whole spec shows
//	diagnostics.go          sorted, without follow-on errors, and printed
//
// The bodies of provider and installer blocks belong to those who know them:
// they are handed on with the context to evaluate them in.
//
// Raw blocks keep their attributes undecoded (*hcl.Attribute) instead of having
// gohcl convert them: a field that failed is then known to have failed, and
// nothing that depends on it complains a second time.
package spec
