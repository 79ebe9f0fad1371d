package loadbalancer

import (
	"net/netip"
	"time"
)

// Stats is the state of a balancer at one time.
type Stats struct {
	Frontends []FrontendStats `json:"frontends"`
	Servers   []Server        `json:"servers"`
}

// FrontendStats is what a frontend has seen since its balancer was started or
// reloaded.
type FrontendStats struct {
	Name     string         `json:"name"`
	Bind     netip.AddrPort `json:"bind"`
	Up       bool           `json:"up"`       // some server takes connections
	Sessions int            `json:"sessions"` // open now
	Total    uint64         `json:"total"`    // connections accepted
	Refused  uint64         `json:"refused"`  // of clients that are not allowed
	In       uint64         `json:"in"`       // bytes from clients
	Out      uint64         `json:"out"`      // bytes to clients
}

// A Server is a member as its balancer sees it.
type Server struct {
	Frontend string         `json:"frontend"`
	Name     string         `json:"name"`
	Address  netip.AddrPort `json:"address"`
	Up       bool           `json:"up"`       // takes new connections
	State    string         `json:"state"`    // UP, UP 1/2 (in doubt), DOWN, DOWN 1/2, MAINT, DRAIN
	Since    time.Time      `json:"since"`    // of the last change between up and down
	Check    string         `json:"check"`    // L7OK 200, L4CON Connection refused ...; of the tracked server when one is tracked
	Sessions int            `json:"sessions"` // open now
	Total    uint64         `json:"total"`    // connections given to it
	Errors   uint64         `json:"errors"`   // connections it did not take
	In       uint64         `json:"in"`       // bytes to it
	Out      uint64         `json:"out"`      // bytes from it
}
