package netlab

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/testbed"
)

// vnetHeader precedes each frame of a tap (virtio_net_hdr): no offloading.
var vnetHeader = make([]byte, 10)

// whoHas is an ARP request (RFC 826) of 192.0.2.50 for 192.0.2.1.
var whoHas = append([]byte{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x50, 0x08, 0x06,
	0, 1, 0x08, 0, 6, 4, 0, 1, 0x02, 0, 0, 0, 0, 0x50, 192, 0, 2, 50,
	0, 0, 0, 0, 0, 0, 192, 0, 2, 1,
}, make([]byte, 18)...)

// What a virtual machine sends is answered, until its cable is pulled.
func TestTapReachesTheSegment(t *testing.T) {
	if !inside(t, users(t)[0]) { // the device is root's alone on some machines
		return
	}
	l := lab(t)
	tap, err := l.AddTap("lan")
	if hint.Of(err) != "" {
		testbed.Missing(t, "taps: %v", err)
	}
	must(t, err)
	answer := func(limit time.Duration) ([]byte, error) {
		must(t, tap.File().SetReadDeadline(time.Now().Add(limit)))
		for frame := make([]byte, 2048); ; {
			n, err := tap.File().Read(frame)
			if err != nil {
				return nil, err
			}
			if got := frame[len(vnetHeader):n]; bytes.Equal(got[12:14], []byte{0x08, 0x06}) {
				return got, nil
			}
		}
	}
	ask := func() error {
		_, err := tap.File().Write(append(bytes.Clone(vnetHeader), whoHas...))
		return err
	}
	must(t, ask())
	got, err := answer(time.Second)
	for range 9 { // as ARP does: a bridge drops what comes before it has noticed a new port
		if errors.Is(err, os.ErrDeadlineExceeded) {
			must(t, ask())
			got, err = answer(time.Second)
		}
	}
	must(t, err)
	if !bytes.Equal(got[28:32], net.IPv4(192, 0, 2, 1).To4()) {
		t.Errorf("answer % x", got)
	}
	for err == nil { // to what was asked again
		_, err = answer(100 * time.Millisecond)
	}
	must(t, tap.Down())
	if err := ask(); err == nil {
		if _, err := answer(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("answered without a cable: %v", err)
		}
	}
	must(t, tap.Close())
	must(t, tap.Close())
	if err := tap.Down(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a cable that is gone: %v", err)
	}
	if _, err := l.AddTap("nowhere"); err == nil {
		t.Error("a tap on no segment")
	}
}
