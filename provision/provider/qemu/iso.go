package qemu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Of an ISO 9660 image (ECMA-119): its sectors, and the first that describes it.
const (
	sectorSize       = 2048
	firstDescriptor  = 16
	mostDescriptors  = 64
	volumeDescriptor = 1
	endDescriptor    = 255
)

// elTorito is how a boot record begins that firmware boots from ("El Torito"
// Bootable CD-ROM Format Specification 1.0, figure 7).
var elTorito = []byte("\x00CD001\x01EL TORITO SPECIFICATION\x00")

// errNoBoot is the error of an image that firmware passes over.
var errNoBoot = errors.New("it has no El Torito boot record: no machine boots from it")

// bootable looks at the descriptors of an image: whether it is one, is whole,
// and has something to boot.
func bootable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return descriptors(f, info.Size())
}

func descriptors(image io.ReaderAt, size int64) error {
	boots := false
	for i := range int64(mostDescriptors) {
		sector := make([]byte, sectorSize)
		_, err := image.ReadAt(sector, (firstDescriptor+i)*sectorSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if string(sector[1:6]) != "CD001" || sector[0] == endDescriptor {
			if i == 0 {
				return errors.New("it is not an ISO 9660 image")
			}
			break
		}
		if whole := volumeSize(sector); whole > size {
			return fmt.Errorf("it is cut short: %d bytes of %d", size, whole)
		}
		boots = boots || bytes.HasPrefix(sector, elTorito) && catalogInside(sector, size)
	}
	if !boots {
		return errNoBoot
	}
	return nil
}

// volumeSize is what a primary volume descriptor says of the image, in bytes;
// 0 for other descriptors (ECMA-119, 8.4.8).
func volumeSize(descriptor []byte) int64 {
	if descriptor[0] != volumeDescriptor {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(descriptor[80:])) * sectorSize
}

// catalogInside reports whether the boot catalog, at an absolute sector, is in
// the image.
func catalogInside(record []byte, size int64) bool {
	return (int64(binary.LittleEndian.Uint32(record[0x47:]))+1)*sectorSize <= size
}
