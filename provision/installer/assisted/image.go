package assisted

import (
	"encoding/binary"
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

// An inspector passes a discovery image on, and ends what no host could be
// discovered with: as soon as its descriptor has come, and when it is all there.
type inspector struct {
	to   io.Writer
	head []byte // up to the end of the descriptor
	got  int64
}

func (i *inspector) Write(p []byte) (int, error) {
	if missing := descriptorEnd - len(i.head); missing > 0 {
		i.head = append(i.head, p[:min(missing, len(p))]...)
		if len(i.head) == descriptorEnd {
			if err := i.descriptor(); err != nil {
				return 0, err
			}
		}
	}
	n, err := i.to.Write(p)
	i.got += int64(n)
	return n, err
}

// descriptor says what is wrong with the kind of image.
func (i *inspector) descriptor() error {
	d := i.head[descriptorEnd-sectorBytes:]
	const advice = "see what answers at IMAGE_SERVICE_BASE_URL of the assisted service, and which systems its OS_IMAGES name"
	if string(d[:6]) != "\x01CD001" {
		return hint.With(fmt.Errorf("it is no ISO 9660 image, it begins with %q", i.head[:16]), advice)
	}
	if volume := strings.TrimRight(string(d[40:72]), " \x00"); !coreOS.MatchString(volume) {
		return hint.With(fmt.Errorf("it is %q, no live image of CoreOS: no host would be discovered", volume), advice)
	}
	return nil
}

// whole says whether all of it has come.
func (i *inspector) whole() error {
	if len(i.head) < descriptorEnd {
		return fmt.Errorf("it is no ISO 9660 image, but %d bytes that begin with %q", i.got, i.head[:min(16, len(i.head))])
	}
	blocks := binary.LittleEndian.Uint32(i.head[descriptorEnd-sectorBytes+80:])
	if size := int64(blocks) * sectorBytes; size > i.got {
		return fmt.Errorf("it is cut short: %d bytes of %d", i.got, size)
	}
	return nil
}
