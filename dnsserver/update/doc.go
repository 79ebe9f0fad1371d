// Package update puts the records of zones into somebody else's DNS server by
// dynamic updates (RFC 2136) that a TSIG key signs (RFC 8945), and takes
// exactly those out again.
//
// The way of an update:
//
//	session   one TCP connection; every message signed, every answer verified
//	locate    which zone of the server holds the names: ours, or a wider one
//	contents  what is there: the whole zone where a transfer is allowed, else
//	          what single questions tell
//	change    the difference, as one message with prerequisites, or conflicts
//
// Beside each record set of ours lies a TXT record that says whose it is. What
// has none is foreign: it is never changed, and in the way it is a
// [ConflictError]. The prerequisites say so to the server, too, so that it is
// the server that refuses when the zone changed meanwhile.
package update
