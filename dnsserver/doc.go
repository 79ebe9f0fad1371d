// Package dnsserver answers DNS queries authoritatively for record sets and
// forwards the rest for those who may ask. It knows zones and records, never
// clusters.
//
// The way through it, in the order a query takes:
//
//	listener   UDP and TCP sockets of one address, opened by Set
//	query      a strict reading of the packet; what is not sound ends here
//	table      zones, immutable and swapped whole, so that no query is lost
//	lookup     what a zone says of a name: wildcards, cuts, aliases
//	forwarder  everybody else's names: upstreams, cache, loop guard
//	reply      EDNS, truncation, the packet
//
// Authoritative answers are made where the packet was read, without waiting;
// only forwarding takes a goroutine.
package dnsserver
