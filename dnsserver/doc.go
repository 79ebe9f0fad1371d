// Package dnsserver answers DNS queries authoritatively for record sets and
// forwards the rest for those who may ask. It knows zones and records, never
// clusters.
//
// The way through it, in the order a query takes:
//
//	listener   UDP and TCP sockets of one address, opened by Set
//	reader     packets in and out, on Linux many with one system call
//	fastPath   the plain queries, answered from packed octets
//	query      all others: a strict reading; what is not sound ends here
//	table      zones, immutable and swapped whole, so that no query is lost
//	lookup     what a zone says of a name: wildcards, cuts, aliases
//	forwarder  everybody else's names: upstreams, cache, loop guard
//	transfer   whole zones, for whom the Config names
//	limiter    how often a network gets the same answer
//	reply      EDNS, TSIG, truncation, the packet
//
// The fast path is a shortcut, not a second server: its octets are made from
// the same records when they are loaded, and what it cannot answer exactly as
// the ordinary path would, it leaves to that.
//
// Authoritative answers are made where the packet was read, without waiting;
// only forwarding and transfers take goroutines.
package dnsserver
