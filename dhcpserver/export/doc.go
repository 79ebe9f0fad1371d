// Package export writes reservations for DHCP servers of other people, in the
// form that each takes: text to paste, or commands to run.
package export
