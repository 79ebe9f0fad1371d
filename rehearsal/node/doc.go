// Package node simulates hosts, from the firmware to the cluster.
//
// A [Host] walks its boot order: a blank [Disk] falls through to the CD, whose
// bytes are read ([ReadISO]). The live system configures the network that the
// image has for its MAC, offers SSH, and runs the discovery agent, which ends
// in the installation of the disk and a reboot. The installed system fetches
// its Ignition configuration by name, so through the user's DNS and load
// balancer, asks for certificates, registers its node, and runs what belongs
// on it: API server, machine config server, router, controllers.
//
// Hosts speak wire protocols through their own [Link], with one exception: etcd,
// which the control plane hosts of a cluster have in common in the [Site]. It
// has members and a quorum, but no packets. The controllers on these hosts
// work on it directly, not through the API, and learn there which host has
// fetched its configuration. Durations (timing.go) are divided by
// Hardware.Speed; clocks are not.
//
// The shell behind SSH is an interpreter with a virtual root: it never touches
// a file or a process of the machine that runs the simulation.
package node
