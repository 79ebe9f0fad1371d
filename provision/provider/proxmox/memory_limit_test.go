//go:build !race

package proxmox_test

// memoryLimit is how much memory an upload may take, in KiB.
const memoryLimit = 64 << 10
