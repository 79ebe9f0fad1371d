// Package dhcpserver hands out reserved addresses by DHCP (RFC 2131) on a
// network that is ours: it answers the MAC addresses it was given and is
// silent to everybody else, so that even on a foreign network it could take no
// stranger's telephone away from its router.
//
// Before it answers anybody, and within each minute after, it asks whether another
// server is on the link; while there is one it is silent and says who it is.
//
// It knows reservations, not clusters.
package dhcpserver
