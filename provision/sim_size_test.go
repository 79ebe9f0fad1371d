//go:build !race

package provision

// many is how many clusters the simulation runs side by side.
const many = 1000
