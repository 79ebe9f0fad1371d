//go:build !linux

package main

import "runtime/debug"

// releaseStartup gives back the heap that only the start of the program needed.
func releaseStartup() { debug.FreeOSMemory() }
