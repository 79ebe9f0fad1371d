package sshx

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// A Class is a kind of failure with its own cause and its own advice.
type Class string

// The classes.
const (
	Refused     Class = "refused"          // the host answers, nothing listens: booting, or sshd is down
	Unreachable Class = "unreachable"      // packets vanish: wrong address, VLAN, firewall, powered off
	Stalled     Class = "stalled"          // connected, but no banner: starved, or a forwarder without a guest
	NotSSH      Class = "not SSH"          // another service on that address
	Auth        Class = "login refused"    // our key is not in the image, or the user is wrong
	HostKey     Class = "host key changed" // another machine, or reinstalled behind our back
	UnknownHost Class = "host key unknown" // nobody has vouched for it yet
	Algorithm   Class = "no common algorithm"
	Exit        Class = "command failed"
	Forwarding  Class = "forwarding refused" // AllowTcpForwarding of sshd_config(5)
	Dropped     Class = "connection dropped" // mostly a reboot
)

// Advice says what a person should look at.
func (c Class) Advice() string { return advice[c] }

var advice = map[Class]string{
	Refused:     "the host answers but sshd does not listen: it may still be booting",
	Unreachable: "packets to the host vanish: compare address, VLAN and firewall with the spec, and whether the machine is on",
	Stalled:     "the host accepts connections but does not speak: look at its disk and CPU on the hypervisor's console",
	NotSSH:      "another service answers at this address: look for an address conflict",
	Auth:        "the host does not know the cluster's key: it may have booted the image of another cluster",
	HostKey:     "another machine may answer at this address: compare the fingerprint on the machine's console",
	UnknownHost: "compare the key's fingerprint with what the host's console or its owner says",
	Algorithm:   "the host offers none of our algorithms: a FIPS host needs an ECDSA key",
	Forwarding:  "the host's sshd forbids connections through it: look at AllowTcpForwarding and DisableForwarding in its configuration",
	Dropped:     "the connection ended in the middle: the host has probably rebooted",
}

// An Error is a failed login, command or forwarding.
type Error struct {
	Class   Class
	Address netip.AddrPort
	Err     error
}

func (e *Error) Error() string { return fmt.Sprintf("ssh %s: %s: %v", e.Address, e.Class, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether the failure may pass by itself while a host
// boots.
func (e *Error) Transient() bool {
	switch e.Class {
	case Refused, Unreachable, Stalled, Dropped:
		return true
	}
	return false
}

type stage int

const (
	stageDial stage = iota
	stageHandshake
	stageRun
)

func classify(t Target, at stage, err error) error {
	return &Error{classOf(at, err), t.Address, err}
}

func classOf(at stage, err error) Class {
	var negotiation *ssh.AlgorithmNegotiationError
	var key *KeyError
	var unknown *UnknownHostError
	switch {
	case errors.As(err, &unknown):
		return UnknownHost
	case errors.As(err, &key):
		return HostKey
	case errors.As(err, &negotiation):
		return Algorithm
	case at == stageDial:
		return dialClass(err)
	case at == stageRun:
		return runClass(err)
	case isTimeout(err):
		return Stalled
	case strings.Contains(err.Error(), "unable to authenticate"):
		return Auth
	case notSSH(err):
		return NotSSH
	}
	return Dropped
}

func dialClass(err error) Class {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return Refused
	}
	return Unreachable
}

func runClass(err error) Class {
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return Exit
	}
	return Dropped
}

// notSSH recognises what x/crypto/ssh says of a peer whose first lines are no
// version (it has no typed errors for them).
func notSSH(err error) bool {
	text := err.Error()
	return !errors.Is(err, io.EOF) &&
		(strings.Contains(text, "overflow reading version string") || strings.Contains(text, "invalid packet length") ||
			strings.Contains(text, "version string"))
}
