package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A name's first address, that of a host which is off, leaves time for the
// second.
func TestAddressesShareTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		whole, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for i, want := range []time.Duration{15 * time.Second, 30 * time.Second} {
			part, cancel := share(whole, 2-i)
			<-part.Done()
			cancel()
			if took := time.Since(began); took != want {
				t.Errorf("address %d has until %v, want %v", i, took, want)
			}
		}
	})
	if part, cancel := share(t.Context(), 2); part.Err() != nil {
		t.Error("without a deadline there is none")
	} else {
		cancel()
	}
}
