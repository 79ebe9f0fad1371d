// Package probe looks at hosts from outside: what a node says of itself over
// SSH, in one short script a beat, and who on this host's links has an address.
package probe
