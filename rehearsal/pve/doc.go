// Package pve simulates the API of a Proxmox VE cluster, strictly: every
// parameter is validated, rights are checked, tasks take time, locks exist
// and errors have the real server's status and words. It speaks the wire
// protocol only and knows nothing of who is calling.
//
// [New] makes a datacentre of a [Config], [Server.Serve] and
// [Server.ServeNode] answer for its nodes, and a [Hypervisor] gets the
// machines to run. Tests move VMs, change rights and make a [Fault] happen
// while it runs, and ask what was requested and how fast it could have been.
//
// What the simulator does not have: containers, snapshots, backups, guests that
// cloud-init sets up, tickets, and calls that change users, storages or
// networks. Parameters of these are refused as unknown, calls by status 501 in
// the words of the API server.
// docs/providers/proxmox-simulated.md says what there is, and how it is known.
package pve
