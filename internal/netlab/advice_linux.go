package netlab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/slipway-project/slipway/internal/hint"
)

// locks are the ways in which systems forbid user namespaces.
var locks = []struct{ file, forbidden, advice string }{
	{"user/max_user_namespaces", "0", "allow user namespaces with 'sudo sysctl user.max_user_namespaces=15000', or run the same command with sudo"},
	{"kernel/unprivileged_userns_clone", "0", "allow user namespaces with 'sudo sysctl kernel.unprivileged_userns_clone=1', or run the same command with sudo"},
	{"kernel/apparmor_restrict_unprivileged_userns", "1", "allow user namespaces with 'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0', or run the same command with sudo"},
}

const (
	adviceUser = "user namespaces are not allowed here, as in most containers: run the same command with sudo, or outside of the container"
	adviceTap  = "virtual machines need /dev/net/tun: allow it with 'sudo modprobe tun && sudo chmod 666 /dev/net/tun', or run the same command with sudo"
	adviceRoot = "root lacks CAP_SYS_ADMIN here, as in most containers: run the container with --privileged, or slipway outside of it"
)

// advise adds the way out to an error of this process that means: namespaces
// are forbidden.
func advise(err error) error { return adviseOn(err, ownUser() || os.Geteuid() != 0) }

// adviseOn is advise for a process that is root, or lacks a user namespace.
func adviseOn(err error, asUser bool) error {
	for _, forbidden := range []error{syscall.EPERM, syscall.EACCES, syscall.ENOSPC, syscall.EUSERS} {
		if errors.Is(err, forbidden) {
			return hint.With(err, wayOut("/proc/sys", asUser))
		}
	}
	return err
}

// CanTap is an error, with the way out, where no [Lab.AddTap] could succeed.
func CanTap() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return adviseTap(err)
	}
	return f.Close()
}

// adviseTap adds the way out to an error that means: no taps here.
func adviseTap(err error) error {
	for _, missing := range []error{syscall.EPERM, syscall.EACCES, syscall.ENOENT, syscall.ENODEV} {
		if errors.Is(err, missing) {
			return hint.With(err, adviceTap)
		}
	}
	return err
}

func wayOut(sysctls string, asUser bool) string {
	if !asUser {
		return adviceRoot
	}
	for _, lock := range locks {
		value, err := os.ReadFile(filepath.Join(sysctls, lock.file))
		if err == nil && strings.TrimSpace(string(value)) == lock.forbidden {
			return lock.advice
		}
	}
	return adviceUser
}
