// Package pve simulates the API of a Proxmox VE cluster, strictly: every
// parameter is validated, tasks take time, locks exist and errors have the
// real server's status and words. It speaks the wire protocol only and knows
// nothing of who is calling.
//
// [New] makes a datacentre of a [Config], [Server.Serve] answers for it, and
// a [Hypervisor] gets the machines to run. What the simulator does not have:
// containers, snapshots, migration, high availability, cloud-init, software
// defined networks beyond local bridges, tickets. Parameters of these are
// refused as unknown.
package pve
