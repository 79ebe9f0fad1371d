//go:build race

package provision

// many is less under the race detector, which makes each of them ten times as
// dear and looks for what two show as well as a thousand.
const many = 50
