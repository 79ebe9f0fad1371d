package loadbalancer

import "net/netip"

// A Config is a set of TCP frontends, each with the servers behind it. It
// marshals to JSON and back without loss.
type Config struct {
	Mode      Mode       `json:"mode,omitempty"` // empty: ModeAuto
	Frontends []Frontend `json:"frontends"`
}

// Mode says which balancer runs a Config.
type Mode string

// The modes.
const (
	ModeAuto     Mode = "auto"     // haproxy when there is one, else the embedded balancer
	ModeHAProxy  Mode = "haproxy"  // no other will do
	ModeEmbedded Mode = "embedded" // in our own process
)

// A Frontend accepts connections on Bind and spreads them over Members.
type Frontend struct {
	Name    string         `json:"name"` // ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$
	Bind    netip.AddrPort `json:"bind"`
	Check   Check          `json:"check"`
	Allow   []netip.Prefix `json:"allow,omitempty"` // clients; empty: anybody
	Members []Member       `json:"members"`         // may be none at first: addresses by DHCP are not known yet
}

// A Member is one server; its address is always a literal.
type Member struct {
	Name    string         `json:"name"` // like a Frontend's
	Address netip.AddrPort `json:"address"`
	Role    Role           `json:"role,omitempty"`
}

// Role says what a Member is beside being one of several. The empty role is
// an ordinary server.
type Role string

// RoleBootstrap is the temporary host of an installation: it serves as long as
// no ordinary member does, and leaves without being waited for.
const RoleBootstrap Role = "bootstrap"

// Check says how the health of members is asked and how connections are
// spread: the kinds are those of an OpenShift cluster's four frontends.
type Check string

// The kinds of frontends.
const (
	CheckAPI     Check = "api"     // GET https /readyz; round robin; sessions cut on mark-down
	CheckMachine Check = "machine" // GET https /healthz: machine config server
	CheckRouter  Check = "router"  // GET http :1936/healthz/ready; balanced by source
)
