// Package guest makes slipway the first process of a virtual machine in a
// rehearsal: the machine's real kernel has started it as /init, and it becomes
// the host that is simulated elsewhere (package node), on real network
// interfaces, a real disk and a real CD. What it boots is decided by what is on
// them, and a reboot is one.
//
// The machine has a [Spec] in an SMBIOS string. It shares with other machines
// what hosts share without a wire (node.Site) over a wire of its own: link-local
// addresses on its first interface, which the host's configuration never
// touches.
package guest
