// Package install makes the services of a cluster a systemd service of the host
// that it runs on: the program, haproxy from the host's own packages, the
// firewall's ports, SELinux's boolean, and a unit with few privileges. It
// writes down what it changed, so that removing the service takes back exactly
// that.
//
// Each cluster has a program, a unit and directories of its own: upgrading one
// leaves the others alone.
package install
