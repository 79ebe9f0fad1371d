package templates

import (
	_ "embed"
	"fmt"
	"net/netip"
	"time"
)

// HAProxyData is what an HAProxy configuration (2.4 and newer) is made of.
type HAProxyData struct {
	MaxConn   int    // connections in all
	RunDir    string // absolute; holds haproxy.sock, health.sock, servers.state
	Frontends []HAProxyFrontend
}

// A HAProxyFrontend is a section that listens and has servers: as a frontend and
// a backend, they could not have one name from HAProxy 3.3 on.
type HAProxyFrontend struct {
	Name         string
	Bind         netip.AddrPort
	MaxConn      int            // 0: as many as HAProxyData.MaxConn
	Allow        []netip.Prefix // clients; empty: anybody
	BySource     bool           // balance by client address, not round robin
	Check        HAProxyCheck
	CutDown      bool // cut the sessions of a server that is marked down
	WatchTraffic bool // check a server at once after 3 failed connects of clients
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
	Backup  bool   // takes connections only while no other server does
}

const haproxyHeader = "# Written by slipway, which replaces it: changes made here are lost.\n\n"

//go:embed haproxy.cfg.tmpl
var haproxyText string

var haproxy = parse("haproxy.cfg", haproxyText)

// HAProxy renders a configuration. A value that could mean anything but
// itself to haproxy is an error.
func HAProxy(d HAProxyData) ([]byte, error) {
	out, err := execute(haproxy, d)
	if err != nil {
		return nil, err
	}
	return append([]byte(haproxyHeader), out...), nil
}

// HAProxyOptions are the options of every server of f, as its default-server
// line has them: those that the runtime API must be told of a new one.
func HAProxyOptions(f HAProxyFrontend) (string, error) {
	c := f.Check
	times, counts := []time.Duration{c.Every, c.Fast, c.Down}, []int{c.Fall, c.Rise}
	words := []any{}
	for _, d := range times {
		text, err := printDuration(d)
		if err != nil {
			return "", err
		}
		words = append(words, text)
	}
	for _, n := range counts {
		text, err := printCount(n)
		if err != nil {
			return "", err
		}
		words = append(words, text)
	}
	options := fmt.Sprintf("inter %s fastinter %s downinter %s fall %s rise %s", words...)
	if c.TLS {
		options += " check-ssl verify none"
	}
	if c.Port != 0 {
		options += " port " + printPort(c.Port)
	}
	if f.CutDown {
		options += " on-marked-down shutdown-sessions"
	}
	if f.WatchTraffic {
		options += " observe layer4 error-limit 3 on-error sudden-death"
	}
	return options, nil
}
