package main

import (
	"fmt"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/spec"
)

// addServicesHosts has the services of hosts elsewhere run on the simulated
// host: nobody is logged in to, and no image of somebody else booted.
func (d *datacentre) addServicesHosts(c spec.Cluster) {
	if c.Services.Mode != spec.ServicesSSH && c.Services.Mode != spec.ServicesVM {
		return
	}
	fmt.Fprintf(&d.blocks, "cluster %q {\n  services {\n    mode = \"local\"\n  }\n}\n", c.Name)
	for _, h := range c.Services.Hosts {
		d.replace("services host "+h.Host, "that namespace: nobody logs in to yours")
	}
	if c.Services.Machine != nil {
		d.replace("services machine of "+c.Name, "that namespace: no cloud image is fetched, none booted")
	}
}

// foreign refuses to rehearse with services that the world has none of.
func foreign(specs []reading) error {
	for _, r := range specs {
		for _, c := range r.Clusters {
			if c.Services.DNS.Mode != spec.DNSEmbedded || c.Services.Balancer.Mode == spec.BalancerExternal {
				return usage(hint.With(fmt.Errorf("cluster %s has a DNS server or a load balancer of your own, and the simulated datacentre has none", c.Name),
					"`slipway rehearse world` serves the datacentre alone: run yours in it, then `slipway up`"))
			}
		}
	}
	return nil
}
