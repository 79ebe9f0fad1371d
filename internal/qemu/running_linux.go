package qemu

import "syscall"

// attributes end a VM with the process that started it, and keep the Ctrl-C of
// a terminal from it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
