// Package probe looks at hosts from outside: what a node says of itself over
// SSH, in one short script a beat.
package probe
