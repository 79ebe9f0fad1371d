package assisted_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/hint"
)

// sector is the unit of an ISO 9660 image.
const sector = 2048

// iso is as much of an image as is looked at, of 40 sectors.
func iso(volume string) []byte {
	b := make([]byte, 40*sector)
	d := b[16*sector:]
	copy(d, "\x01CD001\x01")
	copy(d[40:72], volume+strings.Repeat(" ", 32))
	binary.LittleEndian.PutUint32(d[80:], 40)
	return b
}

func TestImagesThatDiscoverNothingAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		image []byte
		want  string // "" when it is good
	}{
		{"Red Hat's", iso("rhcos-416.94.202404301731-0"), ""},
		{"CentOS's", iso("scos-413.9.20230103.0"), ""},
		{"Fedora's", iso("fedora-coreos-34.20210529.3.0"), ""},
		{"with more behind it", append(iso("rhcos-live"), make([]byte, 1<<20)...), ""},
		{"another distribution's", iso("Debian 12.5.0 amd64 n"), `it is "Debian 12.5.0 amd64 n", no live image of CoreOS: no host would be discovered`},
		{"an installer's", iso("CentOS-Stream-9-BaseOS-x86_64"), `it is "CentOS-Stream-9-BaseOS-x86_64", no live image of CoreOS: no host would be discovered`},
		{"without a name", iso(""), `it is "", no live image of CoreOS: no host would be discovered`},
		{"a web page", []byte("<html>maintenance</html>"), `it is no ISO 9660 image, but 24 bytes that begin with "<html>maintenanc"`},
		{"nothing", nil, `it is no ISO 9660 image, but 0 bytes that begin with ""`},
		{"a disk image", append([]byte("QFI\xfb"), make([]byte, 1<<20)...), `it is no ISO 9660 image, it begins with "QFI\xfb\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"`},
		{"cut short", iso("rhcos-live")[:30*sector], "it is cut short: 61440 bytes of 81920"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, c := newWorld(t, ""), testCluster()
			ref := w.register(c)
			w.spoilImage(func(rw http.ResponseWriter) {
				_, _ = rw.Write(tt.image) // or the download was ended
			})
			var got bytes.Buffer
			_, err := w.engine.Media(t.Context(), ref, &got, nil)
			if tt.want == "" {
				if err != nil || !bytes.Equal(got.Bytes(), tt.image) {
					t.Errorf("%v, %d bytes", err, got.Len())
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "download discovery image from ") || !strings.HasSuffix(err.Error(), ": "+tt.want) {
				t.Errorf("got  %v\nwant …%s", err, tt.want)
			}
		})
	}
}

// A foreign image is not loaded to its end.
func TestAForeignImageIsRefusedAtOnce(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.spoilImage(func(rw http.ResponseWriter) {
		for image := iso("Debian"); ; { // until the client has gone
			if _, err := rw.Write(image); err != nil {
				return
			}
		}
	})
	_, err := w.engine.Media(t.Context(), ref, io.Discard, nil)
	if err == nil || !strings.Contains(hint.Of(err), "OS_IMAGES") {
		t.Errorf("%v (%s)", err, hint.Of(err))
	}
}
