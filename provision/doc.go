// Package provision turns a cluster spec into running, joined nodes, and takes
// them away again.
//
// The way through it, in the order data takes:
//
//	spec       reads HCL into a Cluster, or says what is wrong at file:line
//	plan       compares a Cluster with what exists and lists the changes
//	phase      carries a graph of steps out, journaled, side by side
//	provider   makes machines; installer makes nodes of them; services
//	           gives them names and a load balancer
//	state      remembers what was made, so that down removes exactly that
//
// A run may be killed and started again at any instant: each step first looks
// at the world, and acts only on what differs. Everything is found again by
// the full cluster name even when the state directory is lost.
package provision
