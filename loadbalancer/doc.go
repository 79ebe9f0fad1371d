// Package loadbalancer renders HAProxy configurations, has them checked, and
// keeps a real haproxy running with them. It knows frontends and members,
// never clusters.
package loadbalancer
