// Package dnsserver answers DNS queries authoritatively for record sets and
// forwards the rest for those who may ask. It knows zones and records, never
// clusters.
package dnsserver
