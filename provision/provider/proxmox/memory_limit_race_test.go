//go:build race

package proxmox_test

// memoryLimit is more under the race detector, which keeps books of all
// memory that is in use.
const memoryLimit = 512 << 10
