// Package services is the DNS and the load balancer of a cluster: the document
// that says what they serve, and the process that serves it.
//
//	build     a View of the cluster becomes a Document
//	file      the Document on disk: written whole, read strictly
//	serve     `slipway serve`: DNS in-process, haproxy supervised, the
//	          document followed, a control socket
//	daemon    the other side: start, find, ask and end that process
//	preflight what would keep it from serving here
//
// The process outlives the one that started it, for the installing cluster
// needs api-int all the time; it knows the document and nothing else.
package services
