// Package remotetest has what a services host is tested with: the root of a
// Debian system, made by debootstrap once and kept in a cache, with a real sshd,
// sudo and apt in it, and what it takes to install haproxy without a network.
package remotetest
