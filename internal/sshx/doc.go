// Package sshx opens SSH connections that cannot hang: every handshake and
// every command has a real deadline, and a failure is classified so that its
// cause can be named.
//
// x/crypto/ssh's own Timeout covers the TCP connection only: against a
// listener that never sends a banner ssh.Dial waits for ever.
package sshx
