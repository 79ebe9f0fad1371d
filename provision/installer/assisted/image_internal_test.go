package assisted

import (
	"bytes"
	"io"
	"testing"
)

func FuzzInspector(f *testing.F) {
	good := make([]byte, 2*sectorBytes)
	copy(good[sectorBytes:], "\x01CD001\x01")
	copy(good[sectorBytes+40:], "rhcos-live")
	f.Add(good, 7)
	f.Fuzz(func(t *testing.T, tail []byte, piece int) {
		image := append(make([]byte, descriptorEnd-2*sectorBytes), tail...)
		i := &inspector{to: io.Discard}
		_, err := io.CopyBuffer(i, struct{ io.Reader }{bytes.NewReader(image)}, make([]byte, max(1, piece&0xffff)))
		if err == nil && i.whole() == nil && !bytes.Contains(image, []byte("CD001")) {
			t.Error("it is taken for an image")
		}
	})
}
