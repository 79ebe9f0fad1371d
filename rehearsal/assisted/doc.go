// Package assisted simulates the assisted installer service: its REST API as
// users and agents see it, its state machines, and the discovery ISO it makes.
package assisted
