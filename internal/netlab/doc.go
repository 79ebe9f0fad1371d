// Package netlab builds small networks out of Linux namespaces, for rehearsals
// and tests: machines that have their own MAC and addresses, cabled to a
// bridge, in a process that sees private /etc/hosts and /etc/resolv.conf.
//
// [Spawn] starts a program of ours in namespaces of its own, as root of them,
// without needing to be root outside; [Settle] is the first thing that program
// calls. A [Lab] is the cabling: the datacentre's namespace with its bridges
// and addresses, the process's own namespace, and one namespace per machine.
// A socket keeps the namespace it was made in, so that one process can be many
// machines at once. No other program (ip, iptables) is needed; [Enter] alone
// names one, nsenter of util-linux, for people and tests.
//
// On other systems than Linux every entry returns [ErrUnsupported].
package netlab

import "errors"

// ErrUnsupported is returned where there are no Linux namespaces.
var ErrUnsupported = errors.New("network namespaces need Linux")
