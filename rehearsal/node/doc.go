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
// Everything goes over wire protocols through the host's own [Link]. The one
// exception is etcd, which the control plane hosts of a cluster have in common
// in the [Site], with quorum, but without packets. Durations (timing.go) are
// divided by Hardware.Speed; clocks are not.
//
// The shell behind SSH is an interpreter with a virtual root: it never touches
// a file or a process of the machine that runs the simulation.
package node
