// Package export writes zones in the forms that other DNS servers and
// resolvers read, for people who keep their own.
//
// There are three kinds of formats. Authoritative servers (bind, knot, nsd,
// coredns) get master files and a stanza that names them, and answer as our
// own server does. Resolvers with local data (dnsmasq, pihole, unbound, hosts)
// get what they can hold; what they cannot is a warning. Resolvers of one
// machine (resolved, resolver, nrpt) get no records, but where to ask.
package export
