// Package rehearsal is a simulated datacentre that an unmodified slipway
// works in: a [World] of Proxmox VE APIs, installer services, a router, and
// machines that boot, all on their real addresses and ports, in network
// namespaces nobody else sees.
//
// A World lives in a process of its own:
//
//	Start  runs our own binary again, in namespaces (internal/netlab)
//	Serve  is that process: it opens a World and says so with a [Ready] line
//	Ready  says how programs enter the World, and with which environment
//	Control asks a running World what is left in it
//
// Package rehearsal speaks wire protocols only. It imports nothing of
// provision, so that it can neither see nor spare what it rehearses.
package rehearsal
