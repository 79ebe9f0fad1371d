// Package loadbalancer spreads the connections of TCP frontends over members
// that answer their health checks. It knows frontends and members, never
// clusters.
//
//	config    frontends, members, modes; what of it is refused
//	render    a Config as haproxy, nginx or keepalived read it
//	balancer  either of the two that run a Config
//	proxy     a real haproxy: started, checked, reloaded, asked, adopted
//	embedded  one in our own process, with the same checks and choices
//	verify    what somebody else's balancer does, beside what it must do
package loadbalancer
