package services

import (
	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/loadbalancer"
)

// DocumentVersion is the version of the services document.
const DocumentVersion = 1

// A Document is all that `slipway serve` knows: zones, forwarders, frontends
// and members, and never a secret. `up` replaces the file atomically; serve
// follows it without a restart.
type Document struct {
	Version  int                 `json:"version"`
	Serial   uint64              `json:"serial"` // grows with every change
	Owner    string              `json:"owner"`  // full cluster name
	DNS      dnsserver.Config    `json:"dns"`
	Balancer loadbalancer.Config `json:"balancer"`
}
