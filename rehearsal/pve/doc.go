// Package pve simulates the API of a Proxmox VE cluster, strictly: every
// parameter is validated, tasks take time, locks exist and errors have the
// real server's status and words. It speaks the wire protocol only and knows
// nothing of who is calling.
package pve
