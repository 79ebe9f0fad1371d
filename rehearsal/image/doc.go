// Package image builds the boot media of rehearsals with real virtual machines:
// an ISO image that BIOS and UEFI boot from CD and, copied to a disk, from
// there. It holds the kernel of a Debian package and one program as its
// first process, which is slipway itself: what a simulated host does in this
// process, it does there on real hardware (package guest).
//
// Packages are downloaded and unpacked into a cache; nothing is installed.
package image
