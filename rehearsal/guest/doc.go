// Package guest makes slipway the first process of a virtual machine in a
// rehearsal: the machine's real kernel has started it as /init, and it becomes
// the host that is simulated elsewhere (package node), on real network
// interfaces, a real disk and a real CD. What it boots is decided by what is on
// them, and a reboot is one.
//
// What it is meant to have is in an SMBIOS string (a [Spec]) where a hypervisor
// of the World has started it, else on the image, by its UUID. What hosts share
// without a wire (node.Site) it asks for over its ordinary network, at the place
// that the image names: before the host has an address the World hears nothing
// of it.
package guest
