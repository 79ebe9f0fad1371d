package export

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/dnsserver"
)

// Options are what an export needs beside the zones. The zero value is enough
// for formats that carry records.
type Options struct {
	// Server is where the zones are answered; resolved, resolver and nrpt send
	// their questions there.
	Server netip.AddrPort
	// Interface is the link that resolved is to ask Server on; empty: none.
	Interface string
	// Serial is the serial of all exported zones; 0 keeps that of each. A server
	// takes a master file for new only when its serial grew (RFC 1982).
	Serial uint32
	// Instead are the labels written in place of a wildcard's * in formats that
	// have no wildcards: the names known to be asked for below it.
	Instead []string
}

// An Export is zones in one format.
type Export struct {
	Files []File
	// Warnings are what the format cannot do, a sentence each; they stand in the
	// first file as comments, too.
	Warnings []string
}

// A File is one file of an [Export]. Files name each other without a
// directory: they are meant to lie in one.
type File struct{ Name, Text string }

// A format makes an Export; comment is what begins a comment in its first file.
type format struct {
	name, comment string
	build         func(*job) error
}

var formats = []format{
	{"bind", "//", (*job).bind},
	{"knot", "#", (*job).knot},
	{"nsd", "#", (*job).nsd},
	{"coredns", "#", (*job).coredns},
	{"dnsmasq", "#", (*job).dnsmasq},
	{"pihole", "#", (*job).pihole},
	{"unbound", "#", (*job).unbound},
	{"hosts", "#", (*job).hosts},
	{"resolved", "#", (*job).resolved},
	{"resolver", "#", (*job).resolver},
	{"nrpt", "#", (*job).nrpt},
}

// Formats lists the names of all formats.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// Build returns the zones of c in the named format. Equal arguments give equal
// exports. The error names all records that no server would load.
func Build(name string, c dnsserver.Config, o Options) (Export, error) {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	if i < 0 {
		return Export{}, fmt.Errorf("format %q is not one of %s", name, strings.Join(Formats(), ", "))
	}
	zones, err := parse(c.Zones, o.Serial)
	if err != nil {
		return Export{}, err
	}
	j := &job{Options: o, zones: zones}
	if err := formats[i].build(j); err != nil {
		return Export{}, fmt.Errorf("format %s: %w", name, err)
	}
	j.warnInside(formats[i].comment)
	return j.Export, nil
}

// Write writes the zones of c in the named format, as [Export.WriteTo] does.
func Write(w io.Writer, name string, c dnsserver.Config, o Options) error {
	e, err := Build(name, c, o)
	if err == nil {
		_, err = e.WriteTo(w)
	}
	return err
}

// WriteTo writes one file as it is, and several as one text in which a line
// "-- NAME --" begins each (the txtar form).
func (e Export) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	for _, f := range e.Files {
		if len(e.Files) > 1 {
			fmt.Fprintf(&b, "-- %s --\n", f.Name)
		}
		b.WriteString(f.Text)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// A job is an export in the making.
type job struct {
	Options
	Export
	zones []zone
}

var errNoZones = errors.New("there is no zone to export")

// title names what is exported: the first zone that is not a reverse one.
func (j *job) title() string {
	for _, z := range j.zones {
		if !z.reverse() {
			return relative(z.Name)
		}
	}
	return relative(j.zones[0].Name)
}

func (j *job) file(name, format string, args ...any) {
	j.Files = append(j.Files, File{name, fmt.Sprintf(format, args...)})
}

// warn adds a warning once, however many records it is about.
func (j *job) warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(j.Warnings, w) {
		j.Warnings = append(j.Warnings, w)
	}
}

// warnInside writes the warnings into the first file, below its first comment.
func (j *job) warnInside(comment string) {
	if len(j.Warnings) == 0 {
		return
	}
	var b strings.Builder
	for _, w := range j.Warnings {
		fmt.Fprintf(&b, "%s Warning: %s\n", comment, w)
	}
	head, rest, _ := strings.Cut(j.Files[0].Text, "\n")
	j.Files[0].Text = head + "\n" + b.String() + rest
}
