package loadbalancer

import (
	"bufio"
	"fmt"
	"io"
)

// WriteMetrics writes s in the OpenMetrics text format (version 1.0.0), to the
// final "# EOF". Names of frontends and members need no escaping. The error is
// that of w.
func (s Stats) WriteMetrics(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, m := range metrics {
		fmt.Fprintf(out, "# TYPE slipway_lb_%s %s\n# HELP slipway_lb_%s %s\n", m.name, m.kind, m.name, m.help)
		suffix := ""
		if m.kind == "counter" {
			suffix = "_total"
		}
		for _, f := range s.Frontends {
			if m.frontend != nil {
				fmt.Fprintf(out, "slipway_lb_%s%s{frontend=%q} %d\n", m.name, suffix, f.Name, m.frontend(f))
			}
		}
		for _, server := range s.Servers {
			if m.server != nil {
				fmt.Fprintf(out, "slipway_lb_%s%s{frontend=%q,server=%q} %d\n", m.name, suffix, server.Frontend, server.Name, m.server(server))
			}
		}
	}
	fmt.Fprintln(out, "# EOF")
	return out.Flush()
}

// A metric is a family of numbers, of frontends or of servers.
type metric struct {
	name, kind, help string
	frontend         func(FrontendStats) uint64
	server           func(Server) uint64
}

var metrics = []metric{
	{"frontend_up", "gauge", "Whether some server takes connections.", func(f FrontendStats) uint64 { return truth(f.Up) }, nil},
	{"frontend_sessions", "gauge", "Connections that are open.", func(f FrontendStats) uint64 { return uint64(f.Sessions) }, nil},
	{"frontend_connections", "counter", "Connections accepted.", func(f FrontendStats) uint64 { return f.Total }, nil},
	{"frontend_refused", "counter", "Connections of clients that are not allowed.", func(f FrontendStats) uint64 { return f.Refused }, nil},
	{"frontend_received_bytes", "counter", "Bytes from clients.", func(f FrontendStats) uint64 { return f.In }, nil},
	{"frontend_sent_bytes", "counter", "Bytes to clients.", func(f FrontendStats) uint64 { return f.Out }, nil},
	{"server_up", "gauge", "Whether the server takes new connections.", nil, func(s Server) uint64 { return truth(s.Up) }},
	{"server_since_seconds", "gauge", "When that changed last, in Unix time.", nil, func(s Server) uint64 { return uint64(s.Since.Unix()) }},
	{"server_sessions", "gauge", "Connections that are open.", nil, func(s Server) uint64 { return uint64(s.Sessions) }},
	{"server_connections", "counter", "Connections given to the server.", nil, func(s Server) uint64 { return s.Total }},
	{"server_failed_connections", "counter", "Connections that the server did not take.", nil, func(s Server) uint64 { return s.Errors }},
	{"server_sent_bytes", "counter", "Bytes to the server.", nil, func(s Server) uint64 { return s.In }},
	{"server_received_bytes", "counter", "Bytes from the server.", nil, func(s Server) uint64 { return s.Out }},
}

func truth(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}
