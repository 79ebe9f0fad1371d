// Package spec reads cluster specs written in HCL.
//
// Load parses the files, gathers every problem with its place, and returns
// clusters whose every reference is resolved. Nothing is contacted and no
// secret is read. The way through it:
//
//	files.go, load.go       which files, parsed and joined with the override
//	eval.go                 variables, locals and secrets, in the order they need each other
//	given.go                values of variables from arguments, files and the environment
//	references.go           every reference names something that there is
//	cluster.go              the result: the types everybody else sees
//	network.go, machines.go one file a block: raw block in, value out
//	instances.go            the nodes of a machines block, by count or for_each
//	check.go, allot.go      what only the whole spec shows
//	defaults.go             what the spec left out, and why it is as it is
//	description.go          the same in words, for docs/spec.md and the JSON Schema
//	diagnostics.go          sorted, without follow-on errors, and printed
//
// The bodies of provider and installer blocks belong to those who know them:
// they are handed on with the context to evaluate them in.
//
// Raw blocks keep their attributes undecoded (*hcl.Attribute) instead of having
// gohcl convert them: a field that failed is then known to have failed, and
// nothing that depends on it complains a second time.
package spec
