// Package node simulates hosts: firmware that boots a disk or a CD, the
// discovery agent of the live system, the installation to disk, reboots, and
// afterwards the node: kubelet, API server, machine config server and router.
// It speaks wire protocols only, through the machine's own network.
package node
