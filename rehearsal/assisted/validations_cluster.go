package assisted

import (
	"fmt"
	"net/netip"
	"time"
)

// maxClockGap is how far the clocks of two hosts may be apart.
const maxClockGap = 4 * time.Minute

// validate computes the validations of a cluster in network mode "none".
func (c *cluster) validate() table {
	t := table{}
	const network = "network"
	t.add(network, "machine-cidr-defined", success, "No Machine Network CIDR needed: User Managed Networking")
	t.add(network, "machine-cidr-equals-to-calculated-cidr", success, "The Cluster Machine CIDR is not required: User Managed Networking")
	t.add(network, "api-vips-defined", success, "API virtual IPs are not required: User Managed Networking")
	t.add(network, "api-vips-valid", success, "API virtual IPs are not required: User Managed Networking")
	t.add(network, "ingress-vips-defined", success, "Ingress virtual IPs are not required: User Managed Networking")
	t.add(network, "ingress-vips-valid", success, "Ingress virtual IPs are not required: User Managed Networking")
	t.check(network, "cluster-cidr-defined", len(c.ClusterNetworks) > 0, "The Cluster Network CIDR is defined.", "The Cluster Network CIDR is undefined.")
	t.check(network, "service-cidr-defined", len(c.ServiceNetworks) > 0, "The Service Network CIDR is defined.", "The Service Network CIDR is undefined.")
	t.check(network, "no-cidrs-overlapping", !c.overlapping(), "No CIDRS are overlapping.", "CIDRS Overlapping.")
	t.check(network, "dns-domain-defined", c.BaseDNSDomain != "", "The base domain is defined.", "The base domain is undefined and must be provided.")
	t.check(network, "ntp-server-configured", c.clockGap() <= maxClockGap, "No ntp problems found",
		"Hosts' clocks are not synchronized (there's more than a 4 minutes gap between clocks), ensure an NTP server is configured.")
	t.check("configuration", "pull-secret-set", c.PullSecretSet, "The pull secret is set.", "The pull secret is not set.")
	t.check("hosts-data", "all-hosts-are-ready-to-install", c.hostsReady(), "All hosts in the cluster are ready to install.", "The cluster has hosts that are not ready to install.")
	c.validateCount(t)
	return t
}

func (c *cluster) validateCount(t table) {
	const id = "sufficient-masters-count"
	masters, workers := len(c.withRole("master")), len(c.withRole("worker"))
	if c.ControlPlaneCount == 1 {
		t.check("hosts-data", id, masters == 1 && workers == 0, "The cluster has the exact amount of dedicated control plane nodes.",
			"Single-node clusters must have a single control plane node and no workers.")
		return
	}
	t.check("hosts-data", id, masters == c.ControlPlaneCount, "The cluster has the exact amount of dedicated control plane nodes.",
		fmt.Sprintf("The cluster must have exactly %d dedicated control plane nodes. Add or remove hosts, or change their roles configurations to meet the requirement.", c.ControlPlaneCount))
}

func (c *cluster) hostsReady() bool {
	ready := c.countHosts("known", "preparing-for-installation", "preparing-successful")
	return ready == len(c.Hosts)
}

func (c *cluster) withRole(role string) []*host {
	var list []*host
	for _, h := range c.Hosts {
		if h.role() == role {
			list = append(list, h)
		}
	}
	return list
}

func (c *cluster) overlapping() bool {
	var seen []netip.Prefix
	cidrs := []string{}
	for _, n := range c.ClusterNetworks {
		cidrs = append(cidrs, n.CIDR)
	}
	for _, n := range append(append([]network{}, c.ServiceNetworks...), c.MachineNetworks...) {
		cidrs = append(cidrs, n.CIDR)
	}
	for _, text := range cidrs {
		p, err := netip.ParsePrefix(text)
		for _, other := range seen {
			if err != nil || other.Overlaps(p) {
				return true
			}
		}
		seen = append(seen, p)
	}
	return false
}

// clockGap is the largest difference between the clocks of two hosts.
func (c *cluster) clockGap() time.Duration {
	var low, high time.Duration
	first := true
	for _, h := range c.Hosts {
		if h.Timestamp == 0 {
			continue
		}
		if first {
			low, high, first = h.skew, h.skew, false
		}
		low, high = min(low, h.skew), max(high, h.skew)
	}
	return high - low
}
