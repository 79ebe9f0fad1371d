package assisted

import (
	"bytes"
	"io"
	"testing"
)

func FuzzImage(f *testing.F) {
	good := make([]byte, 2*sectorBytes)
	copy(good[sectorBytes:], "\x01CD001\x01")
	copy(good[sectorBytes+40:], "rhcos-live")
	f.Add(good)
	f.Fuzz(func(t *testing.T, tail []byte) {
		image := append(make([]byte, descriptorEnd-2*sectorBytes), tail...)
		n, err := pass(io.Discard, bytes.NewReader(image))
		if err == nil && (n != int64(len(image)) || !bytes.Contains(image, []byte("CD001"))) {
			t.Errorf("it is taken for an image, %d bytes of which were passed on", n)
		}
	})
}
