package templates

import _ "embed"

const nginxHeader = `# Written by slipway for nginx: include it at the top level of nginx.conf, with
# the stream module loaded. nginx without a subscription asks no server for its
# health: one that refuses connections is left out for 5 s, one that hangs or
# drains never is.

`

//go:embed nginx.conf.tmpl
var nginxText string

var nginx = parse("nginx.conf", nginxText)

// Nginx renders the stream block of an nginx configuration. Checks, limits of
// connections and what happens to a server that is down cannot be said there.
func Nginx(frontends []HAProxyFrontend) ([]byte, error) {
	out, err := execute(nginx, HAProxyData{Frontends: frontends}, "$remote_addr")
	if err != nil {
		return nil, err
	}
	return append([]byte(nginxHeader), out...), nil
}
