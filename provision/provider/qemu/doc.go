// Package qemu makes virtual machines on this host, each a QEMU process.
//
//	config      the provider block
//	record      one machine on disk: what was asked, and whose it is
//	ensure      makes, finds, mends and removes machines on disk
//	power       asks the cluster's supervisor to start and stop them
//	supervise   the supervisor: the processes, and what becomes of them
//	images      boot images, checked before a machine is to boot from them
//	check       what this host lacks
//
// Machines outlive the run that started them: a detached process of this same
// program, one for each cluster, keeps them, starts again what reboots, and
// ends when the last of them is released. Machines end with it, so that whatever
// happens to it, none is left that nobody knows of.
package qemu
