package assisted

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
)

// Of an ISO 9660 image (ECMA-119, 8.4): its sectors, and where its primary
// volume descriptor ends.
const (
	sectorBytes   = 2048
	descriptorEnd = 17 * sectorBytes
)

// coreOS is what live images of CoreOS call their volume, which the kernel's
// argument coreos.liveiso names as well: rhcos-416.94.202404301731-0,
// scos-413.9.20230103.0, fedora-coreos-34.20210529.3.0.
var coreOS = regexp.MustCompile(`(?i)(^|-)(rhcos|scos|fcos|coreos)-`)

// sizeOf returns how large the image is that begins with head, or says why no
// host could be discovered with it.
func sizeOf(head []byte) (int64, error) {
	const advice = "see what answers at IMAGE_SERVICE_BASE_URL of the assisted service, and which systems its OS_IMAGES name"
	begins := head[:min(16, len(head))]
	if len(head) < descriptorEnd {
		return 0, hint.With(fmt.Errorf("it is no ISO 9660 image, but %d bytes that begin with %q", len(head), begins), advice)
	}
	d := head[descriptorEnd-sectorBytes:]
	if string(d[:6]) != "\x01CD001" {
		return 0, hint.With(fmt.Errorf("it is no ISO 9660 image, it begins with %q", begins), advice)
	}
	if volume := strings.TrimRight(string(d[40:72]), " \x00"); !coreOS.MatchString(volume) {
		return 0, hint.With(fmt.Errorf("it is %q, no live image of CoreOS: no host would be discovered", volume), advice)
	}
	return int64(binary.LittleEndian.Uint32(d[80:])) * sectorBytes, nil
}

// pass copies a discovery image, and ends one that is none as soon as its
// descriptor has come. It returns how much has.
func pass(w io.Writer, image io.Reader) (int64, error) {
	buffered := bufio.NewReaderSize(image, descriptorEnd)
	head, err := buffered.Peek(descriptorEnd)
	if err != nil && !errors.Is(err, io.EOF) {
		return int64(len(head)), err
	}
	size, err := sizeOf(head)
	if err != nil {
		return int64(len(head)), err
	}
	n, err := io.Copy(w, buffered)
	if err == nil && n < size {
		err = fmt.Errorf("it is cut short: %d bytes of %d", n, size)
	}
	return n, err
}
