package templates

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"
)

func parse(name, text string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{
		"name":    printName,
		"path":    printPath,
		"device":  printDevice,
		"addr":    printAddr,
		"ip":      printIP,
		"prefix":  printPrefix,
		"count":   printCount,
		"options": HAProxyOptions,
	}).Parse(text))
}

// execute renders t, and refuses what comes out if it has bytes that a reader
// would expand, quote, escape or cut a line at. Those of the template itself
// are in fixed.
func execute(t *template.Template, data any, fixed ...string) ([]byte, error) {
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", t.Name(), err)
	}
	text := out.String()
	for _, f := range fixed {
		text = strings.ReplaceAll(text, f, "")
	}
	if i := strings.IndexFunc(text, foreign); i >= 0 {
		return nil, fmt.Errorf("render %s: byte %#02x at offset %d", t.Name(), text[i], i)
	}
	return out.Bytes(), nil
}

// foreign finds what configuration files expand, quote, escape or cut a line
// at.
func foreign(r rune) bool {
	switch r {
	case '$', '"', '\'', '\\', '#':
		return true
	}
	return r != '\n' && (r < ' ' || r > '~')
}

var (
	nameForm   = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)
	deviceForm = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._@-]{0,14}\z`) // IFNAMSIZ
	pathForm   = regexp.MustCompile(`\A(/[A-Za-z0-9._+@:,=-]+)+\z`)
)

// ValidName reports whether s may name a frontend or a server.
func ValidName(s string) bool { return nameForm.MatchString(s) }

// ValidPath reports whether s is an absolute path that can be written in a
// configuration file as it is.
func ValidPath(s string) bool { return pathForm.MatchString(s) }

func printName(s string) (string, error) {
	if !ValidName(s) {
		return "", fmt.Errorf("name %q is not a lower-case DNS label", s)
	}
	return s, nil
}

func printPath(s string) (string, error) {
	if !ValidPath(s) {
		return "", fmt.Errorf("path %q is not absolute or has unusual characters", s)
	}
	return s, nil
}

func printDevice(s string) (string, error) {
	if !deviceForm.MatchString(s) {
		return "", fmt.Errorf("network interface %q has unusual characters or is too long", s)
	}
	return s, nil
}

func printIP(a netip.Addr) (string, error) {
	if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
		return "", fmt.Errorf("address %q is not a plain IP address", a)
	}
	return a.String(), nil
}

func printAddr(a netip.AddrPort) (string, error) {
	if !a.IsValid() || a.Port() == 0 || a.Addr().Zone() != "" || a.Addr().Is4In6() {
		return "", fmt.Errorf("address %q is not a plain IP address and port", a)
	}
	return a.String(), nil
}

func printPrefix(p netip.Prefix) (string, error) {
	if !p.IsValid() || p.Addr().Is4In6() {
		return "", fmt.Errorf("prefix %q is not a plain IP prefix", p)
	}
	return p.String(), nil
}

func printCount(n int) (string, error) {
	if n < 1 {
		return "", fmt.Errorf("count %d is less than 1", n)
	}
	return strconv.Itoa(n), nil
}

func printPort(p uint16) string { return strconv.Itoa(int(p)) }

func printDuration(d time.Duration) (string, error) {
	if d < time.Millisecond {
		return "", fmt.Errorf("duration %s is less than 1 ms", d)
	}
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s", nil
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms", nil
}
