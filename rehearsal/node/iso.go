package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kdomanski/iso9660"
)

// IgnitionISO is the name of the configuration on a discovery ISO.
const IgnitionISO = "images/config.ign"

const (
	volumeID = "rhcos-live"
	maxFile  = 4 << 20 // bytes of one that is read back
)

// WriteISO writes the ISO 9660 image of d to w, padded with zeros to at least
// size bytes; 0 asks for the smallest image.
func WriteISO(w io.Writer, d Discovery, size int64) (err error) {
	config, err := d.Ignition()
	if err != nil {
		return fmt.Errorf("discovery configuration: %w", err)
	}
	image, err := iso9660.NewWriter()
	if err != nil {
		return fmt.Errorf("ISO image: %w", err)
	}
	defer func() { err = errors.Join(err, image.Cleanup()) }()
	if err := image.AddFile(bytes.NewReader(config), IgnitionISO); err != nil {
		return fmt.Errorf("ISO image: %w", err)
	}
	counted := &counter{w: w}
	if err := image.WriteTo(counted, volumeID); err != nil {
		return fmt.Errorf("ISO image: %w", err)
	}
	return pad(w, size-counted.n)
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func pad(w io.Writer, n int64) error {
	zeros := make([]byte, 64<<10)
	for ; n > 0; n -= int64(len(zeros)) {
		if _, err := w.Write(zeros[:min(n, int64(len(zeros)))]); err != nil {
			return fmt.Errorf("pad ISO image: %w", err)
		}
	}
	return nil
}

// ReadISO reads back what WriteISO wrote. Any other content is an error that
// says what is wrong with it.
func ReadISO(r io.ReaderAt) (Discovery, error) {
	data, err := ReadISOFile(r, IgnitionISO)
	if err != nil {
		return Discovery{}, err
	}
	var config ignition
	if err := json.Unmarshal(data, &config); err != nil {
		return Discovery{}, fmt.Errorf("%s in the image is not an Ignition configuration: %w", IgnitionISO, err)
	}
	return config.discovery()
}

// ReadISOFile returns the content of the file of that name on an image. A panic
// of the ISO library, which trusts the lengths in directory records, becomes an
// error.
func ReadISOFile(r io.ReaderAt, name string) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged ISO 9660 image: %v", p)
		}
	}()
	image, err := iso9660.OpenImage(r)
	if err != nil {
		return nil, fmt.Errorf("not an ISO 9660 image: %w", err)
	}
	file, err := image.RootDir()
	if err != nil {
		return nil, fmt.Errorf("not an ISO 9660 image: no primary volume: %w", err)
	}
	for part := range strings.SplitSeq(name, "/") {
		if file, err = child(file, part); err != nil {
			return nil, fmt.Errorf("no %s in the image: %w", name, err)
		}
	}
	if data, err = readFile(file); err != nil {
		return nil, fmt.Errorf("%s in the image: %w", name, err)
	}
	return data, nil
}

func child(dir *iso9660.File, name string) (*iso9660.File, error) {
	children, err := dir.GetChildren()
	if err != nil {
		return nil, err
	}
	for _, c := range children {
		if strings.EqualFold(c.Name(), name) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%s does not exist", name)
}

func readFile(file *iso9660.File) ([]byte, error) {
	if file.IsDir() {
		return nil, errors.New("it is a directory")
	}
	if file.Size() > maxFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return io.ReadAll(file.Reader())
}
