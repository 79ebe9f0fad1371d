// Package qemu launches and controls one virtual machine: its arguments, which
// can be printed and run by hand, its process, and its monitor (QMP).
//
// A machine boots from its disk, and while that is empty from the CD: the same
// order that every provider uses, so that nothing has to be switched between
// discovery and the installed system. It runs with -no-reboot: a reset ends the
// process and whoever supervises it starts it again, which under TCG takes half
// the time of a reset in place.
package qemu
