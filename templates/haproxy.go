package templates

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"text/template"
	"time"
)

// HAProxyData is what an HAProxy configuration (2.4 and newer) is made of.
type HAProxyData struct {
	MaxConn   int    // connections in all
	RunDir    string // absolute; holds haproxy.sock, health.sock, servers.state
	Frontends []HAProxyFrontend
}

// A HAProxyFrontend is a frontend and the backend of the same name.
type HAProxyFrontend struct {
	Name         string
	Bind         netip.AddrPort
	MaxConn      int            // 0: as many as HAProxyData.MaxConn
	Allow        []netip.Prefix // clients; empty: anybody
	BySource     bool           // balance by client address, not round robin
	Check        HAProxyCheck
	CutDown      bool // cut the sessions of a server that is marked down
	WatchTraffic bool // mark a server down after 3 failed connects of clients
	Servers      []HAProxyServer
}

// A HAProxyCheck says how the health of servers is asked over HTTP.
type HAProxyCheck struct {
	Path              string
	TLS               bool
	Port              uint16        // 0: the server's own
	Every, Fast, Down time.Duration // interval when steady, in doubt, down
	Fall, Rise        int           // checks in a row that change the state
}

// A HAProxyServer is one server of a backend.
type HAProxyServer struct {
	Name    string
	Address netip.AddrPort
	Track   string // backend whose server of this name is checked for us; "": check
}

const haproxyHeader = "# Written by slipway, which replaces it: changes made here are lost.\n\n"

//go:embed haproxy.cfg.tmpl
var haproxyText string

var haproxy = template.Must(template.New("haproxy.cfg").Funcs(template.FuncMap{
	"name":   printName,
	"path":   printPath,
	"addr":   printAddr,
	"prefix": printPrefix,
	"count":  printCount,
	"port":   printPort,
	"time":   printDuration,
}).Parse(haproxyText))

// HAProxy renders a configuration. A value that could mean anything but
// itself to haproxy is an error.
func HAProxy(d HAProxyData) ([]byte, error) {
	var out bytes.Buffer
	if err := haproxy.Execute(&out, d); err != nil {
		return nil, fmt.Errorf("render haproxy configuration: %w", err)
	}
	if i := bytes.IndexFunc(out.Bytes(), foreign); i >= 0 {
		return nil, fmt.Errorf("render haproxy configuration: byte %#02x at offset %d", out.Bytes()[i], i)
	}
	return append([]byte(haproxyHeader), out.Bytes()...), nil
}

// foreign finds what haproxy would expand, quote, escape or cut a line at:
// nothing of that is in the template, so it would have come from data.
func foreign(r rune) bool {
	switch r {
	case '$', '"', '\'', '\\', '#':
		return true
	}
	return r != '\n' && (r < ' ' || r > '~')
}

var (
	nameForm = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)
	pathForm = regexp.MustCompile(`\A(/[A-Za-z0-9._+@:,=-]+)+\z`)
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
