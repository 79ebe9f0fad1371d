package provision

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// write writes the bundle: the index, then the things by name, all readable by
// their owner alone. The same things make the same bundle.
func (g Gathered) write(w io.Writer) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	err := g.file(out, "index.txt", g.index())
	for _, t := range g.Things {
		if err == nil && len(t.text) > 0 {
			err = g.file(out, t.Name, t.text)
		}
	}
	return errors.Join(err, out.Close(), zip.Close())
}

func (g Gathered) file(out *tar.Writer, name string, text []byte) error {
	head := &tar.Header{Typeflag: tar.TypeReg, Name: "slipway-gather-" + g.Cluster + "/" + name,
		Mode: 0o600, Size: int64(len(text)), ModTime: g.Time, Format: tar.FormatPAX}
	if err := out.WriteHeader(head); err != nil {
		return err
	}
	_, err := out.Write(text)
	return err
}

// index says what is in the bundle, what is not, and why.
func (g Gathered) index() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Gathered of %s by slipway %s at %s.\nSecrets of the cluster are replaced by %s.\n\nIn this bundle:\n",
		g.Cluster, g.Slipway, g.Time.Format("2006-01-02 15:04:05 MST"), redacted)
	for _, t := range g.Things {
		if t.Error == "" {
			fmt.Fprintf(&b, "  %-32s %9d bytes\n", t.Name, t.Bytes)
		}
	}
	if failures := g.Failures(); len(failures) > 0 {
		fmt.Fprintf(&b, "\nMissing, or not whole:\n")
		for _, t := range failures {
			fmt.Fprintf(&b, "  %-32s %s\n", t.Name, t.Error)
		}
	}
	for i, origin := range g.Unread {
		if i == 0 {
			fmt.Fprintf(&b, "\nSecrets that could not be read, and so were not looked for:\n")
		}
		fmt.Fprintf(&b, "  %s\n", origin)
	}
	return b.Bytes()
}

// Failures are the things that are not there, or not whole.
func (g Gathered) Failures() (failures []Thing) {
	for _, t := range g.Things {
		if t.Error != "" {
			failures = append(failures, t)
		}
	}
	return failures
}
