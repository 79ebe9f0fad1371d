// Package peer runs other people's DNS servers in tests: the programs that
// our exports and updates are for.
//
// Their packages come from the distribution by its own client, are unpacked
// into a cache ($SLIPWAY_TEST_CACHE, else slipway-test in the user's cache
// directory) and never installed. The servers run as whoever runs the test, on
// a loopback port of their own, and end with it. All of it is behind the build
// tag servers.
package peer
