// Package house holds the rules of the house (docs/architecture.md) as a test:
// who may import whom, what may stand at the top, what no code may do. It
// reads the files with go/parser and needs no build.
package house
