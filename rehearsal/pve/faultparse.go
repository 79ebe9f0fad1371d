package pve

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A faultField is one key of a fault in text.
type faultField struct {
	name string
	get  func(Fault) string
	set  func(*Fault, string) error
}

var faultFields = []faultField{
	textField("method", func(f *Fault) *string { return &f.Method }),
	textField("path", func(f *Fault) *string { return &f.Path }),
	textField("node", func(f *Fault) *string { return &f.Node }),
	textField("task", func(f *Fault) *string { return &f.Task }),
	textField("id", func(f *Fault) *string { return &f.ID }),
	textField("storage", func(f *Fault) *string { return &f.Storage }),
	numberField("status", func(f *Fault) *int { return &f.Status }),
	{"bytes", func(f Fault) string { return strconv.FormatInt(f.Bytes, 10) }, func(f *Fault, v string) (err error) {
		f.Bytes, err = strconv.ParseInt(v, 10, 64)
		return err
	}},
	{"delay", func(f Fault) string { return f.Delay.String() }, func(f *Fault, v string) (err error) {
		f.Delay, err = time.ParseDuration(v)
		return err
	}},
	numberField("skip", func(f *Fault) *int { return &f.Skip }),
	numberField("times", func(f *Fault) *int { return &f.Times }),
	textField("text", func(f *Fault) *string { return &f.Text }),
}

func textField(name string, at func(*Fault) *string) faultField {
	return faultField{name, func(f Fault) string { return *at(&f) }, func(f *Fault, v string) error { *at(f) = v; return nil }}
}

func numberField(name string, at func(*Fault) *int) faultField {
	return faultField{name, func(f Fault) string { return strconv.Itoa(*at(&f)) }, func(f *Fault, v string) (err error) {
		*at(f), err = strconv.Atoi(v)
		return err
	}}
}

// ParseFault reads a fault from text: its kind, then fields of [Fault] in
// lower case, as in "status,status=596,path=/nodes/{node}/qemu,times=2". A
// text= comes last and may hold commas.
func ParseFault(s string) (Fault, error) {
	kind, rest, _ := strings.Cut(s, ",")
	f := Fault{Kind: FaultKind(kind)}
	for rest != "" {
		name, value, ok := strings.Cut(rest, "=")
		if !ok {
			return Fault{}, fmt.Errorf("fault %q: %q is not of the form key=value", s, rest)
		}
		if name == "text" {
			rest = ""
		} else {
			value, rest, _ = strings.Cut(value, ",")
		}
		if err := f.setField(name, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", s, err)
		}
	}
	return f, f.validate()
}

func (f *Fault) setField(name, value string) error {
	for _, field := range faultFields {
		if field.name == name {
			if err := field.set(f, value); err != nil {
				return fmt.Errorf("%s: %q is no value", name, value)
			}
			return nil
		}
	}
	return fmt.Errorf("no field %q", name)
}
