// Package remote runs the services of a cluster on another host, over SSH: it
// brings this very program there, has it install itself as a systemd service
// (package install), and hands it documents.
//
// The host needs sshd, systemd, and sudo without a password unless the user is
// root. Nothing else is asked of it.
package remote
