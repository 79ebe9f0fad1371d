package assisted

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Limits of the clock difference between a host and the service.
const (
	maxBehind = 20 * time.Minute
	maxAhead  = time.Hour
)

// validate computes every validation of h from what its agent reported.
func (s *Service) validate(h *host, at time.Time) table {
	t := table{}
	t.check("network", "connected", s.connected(h, at), "Host is connected", "Host is disconnected")
	t.add("network", "media-connected", success, "Media is connected")
	if h.inventory == nil {
		t.add("hardware", "has-inventory", pending, "Missing inventory")
		return t
	}
	t.add("hardware", "has-inventory", success, "Valid inventory exists for the host")
	c := s.clusters[h.ClusterID]
	s.validateHardware(t, h, c)
	validateClock(t, h)
	validateRoutes(t, h)
	validateNTP(t, h)
	if c == nil {
		return t
	}
	t.add("network", "machine-cidr-defined", success, "No Machine Network CIDR needed: User Managed Networking")
	t.add("network", "belongs-to-machine-cidr", success, "No machine network CIDR validation needed: User Managed Networking")
	t.add("hardware", "compatible-with-cluster-platform", success, "Host is compatible with cluster platform none")
	validateName(t, h, c)
	validateAddresses(t, h, c)
	validateDomains(t, h, c)
	validatePreparation(t, h, s.config.Minimum.of(c, h.role()))
	return t
}

func (s *Service) connected(h *host, at time.Time) bool {
	limit := max(s.config.Limits.Scale(disconnectedAfter), minDisconnected)
	return at.Sub(h.CheckedInAt.Time) <= limit
}

func (s *Service) validateHardware(t table, h *host, c *cluster) {
	i, any := h.inventory, s.config.Minimum.Worker
	role := s.config.Minimum.of(c, h.role())
	t.check("hardware", "has-min-cpu-cores", i.CPU.Count >= any.CPUs, "Sufficient CPU cores",
		fmt.Sprintf("The host is not eligible to participate in Openshift Cluster because the minimum required CPU cores for any role is %d, found only %d", any.CPUs, i.CPU.Count))
	t.check("hardware", "has-min-memory", any.memoryFits(i.Memory.Physical), "Sufficient minimum RAM",
		fmt.Sprintf("The host is not eligible to participate in Openshift Cluster because the minimum required RAM for any role is %d MiB, found only %d MiB", any.Memory, i.Memory.Physical>>20))
	t.check("hardware", "has-min-valid-disks", len(i.installable(s.config.Minimum.disk())) > 0, "Sufficient disk capacity",
		"No eligible disks were found, please check specific disks to see why they are not eligible")
	if h.role() == "auto-assign" {
		t.add("hardware", "has-cpu-cores-for-role", pending, "Missing inventory or role")
		t.add("hardware", "has-memory-for-role", pending, "Missing inventory or role")
		return
	}
	t.check("hardware", "has-cpu-cores-for-role", i.CPU.Count >= role.CPUs, "Sufficient CPU cores for role "+h.role(),
		fmt.Sprintf("Require at least %d CPU cores for %s role, found only %d", role.CPUs, h.role(), i.CPU.Count))
	t.check("hardware", "has-memory-for-role", role.memoryFits(i.Memory.Physical), "Sufficient RAM for role "+h.role(),
		fmt.Sprintf("Require at least %d MiB RAM for role %s, found only %d MiB", role.Memory, h.role(), i.Memory.Physical>>20))
}

func validateClock(t table, h *host) {
	const id = "time-synced-between-host-and-service"
	switch {
	case h.Timestamp == 0:
		t.add("network", id, pending, "Missing host time, can't determine synchronization between host and service")
	case h.skew > maxBehind:
		t.add("network", id, failure, fmt.Sprintf("Host clock is not synchronized, service time is ahead of host's at least for %.1f minutes, please configure an NTP server via DHCP.", h.skew.Minutes()))
	case h.skew < -maxAhead:
		t.add("network", id, failure, fmt.Sprintf("Host clock is not synchronized, host time is ahead of service at least for %.1f minutes, please configure an NTP server via DHCP.", -h.skew.Minutes()))
	default:
		t.add("network", id, success, "Host clock is synchronized with service")
	}
}

func validateRoutes(t table, h *host) {
	isDefault := func(r route) bool {
		return r.Gateway != "" && (r.Destination == "0.0.0.0" || r.Destination == "0.0.0.0/0" || r.Destination == "::" || r.Destination == "::/0")
	}
	t.check("network", "has-default-route", slices.ContainsFunc(h.inventory.Routes, isDefault),
		"Host has been configured with at least one default route.", "Host has not yet been configured with a default route.")
}

// validateNTP is reported and does not block.
func validateNTP(t table, h *host) {
	synced := func(n ntpSource) bool { return n.State == "synced" }
	if h.ntp == nil {
		t.add("network", "ntp-synced", failure, "Host couldn't synchronize with any NTP server")
		return
	}
	t.check("network", "ntp-synced", slices.ContainsFunc(h.ntp, synced), "Host NTP is synced", "Host couldn't synchronize with any NTP server")
}

func validateName(t table, h *host, c *cluster) {
	name := h.hostname()
	switch {
	case slices.Contains(forbiddenHostnames, name):
		t.add("hardware", "hostname-valid", failure, fmt.Sprintf("The host name %s is forbidden", name))
	case !hostname.MatchString(name):
		t.add("hardware", "hostname-valid", failure, fmt.Sprintf("Hostname %s is forbidden, hostname should match pattern %s", name, hostnamePattern))
	default:
		t.add("hardware", "hostname-valid", success, fmt.Sprintf("Hostname %s is allowed", name))
	}
	same := func(o *host) bool { return o != h && o.inventory != nil && o.hostname() == name }
	t.check("hardware", "hostname-unique", !slices.ContainsFunc(c.Hosts, same),
		fmt.Sprintf("Hostname %s is unique in cluster", name), fmt.Sprintf("Hostname %s is not unique in cluster", name))
}

func validateAddresses(t table, h *host, c *cluster) {
	taken := ""
	for _, o := range c.Hosts {
		if o == h || o.inventory == nil {
			continue
		}
		for _, a := range o.addresses() {
			if slices.Contains(h.addresses(), a) {
				taken = a.String()
			}
		}
	}
	t.check("network", "no-ip-collisions-in-network", taken == "", "No IP collisions were detected by host "+h.ID,
		fmt.Sprintf("Collisions detected for host ID %s IP address %s", h.ID, taken))
	overlap := h.overlap()
	t.check("network", "non-overlapping-subnets", overlap == "", "Host subnets are not overlapping", "Address networks are overlapping: "+overlap)
}

func (h *host) addresses() []netip.Addr {
	var list []netip.Addr
	for _, n := range h.inventory.Interfaces {
		for _, text := range append(slices.Clone(n.IPv4), n.IPv6...) {
			if p, err := netip.ParsePrefix(text); err == nil && !p.Addr().IsLinkLocalUnicast() {
				list = append(list, p.Addr())
			}
		}
	}
	return list
}

// overlap names two interfaces whose IPv4 networks overlap, or nothing.
func (h *host) overlap() string {
	seen := map[netip.Prefix]string{}
	for _, n := range h.inventory.Interfaces {
		for _, text := range n.IPv4 {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				continue
			}
			for other, name := range seen {
				if name != n.Name && other.Overlaps(p) {
					return fmt.Sprintf("%s in interface %s and %s in interface %s overlap", other, name, p.Masked(), n.Name)
				}
			}
			seen[p.Masked()] = n.Name
		}
	}
	return ""
}

func validateDomains(t table, h *host, c *cluster) {
	validateDomain(t, h, "api-domain-name-resolved-correctly", "api."+c.fullName(), "api."+c.fullName(), "API load balancer")
	validateDomain(t, h, "api-int-domain-name-resolved-correctly", "api-int."+c.fullName(), "api-int."+c.fullName(), "internal API load balancer")
	validateDomain(t, h, "apps-domain-name-resolved-correctly", appsName+"."+c.fullName(), "*.apps."+c.fullName(), "application ingress load balancer")
	validateWildcard(t, h, c)
}

func validateDomain(t table, h *host, id, name, shown, target string) {
	if h.domains == nil {
		t.add("network", id, broken, "Error while evaluating DNS resolution on this host")
		return
	}
	t.check("network", id, len(h.resolved(name)) > 0,
		fmt.Sprintf("Domain name resolution for the %s domain was successful or not required", shown),
		fmt.Sprintf("Couldn't resolve domain name %s on the host. To continue installation, create the necessary DNS entries to resolve this domain name to your cluster's %s IP address", shown, target))
}

// resolved is what the host found under name: addresses and CNAMEs.
func (h *host) resolved(name string) []string {
	for _, r := range h.domains {
		if r.Domain == name {
			return slices.Concat(r.IPv4, r.IPv6, r.CNAMEs)
		}
	}
	return nil
}

func validateWildcard(t table, h *host, c *cluster) {
	const id = "dns-wildcard-not-configured"
	if h.domains == nil {
		t.add("network", id, pending, "DNS wildcard check cannot be performed yet because the host has not yet performed DNS resolution")
		return
	}
	name := wildcardName(c)
	found := append(h.resolved(name+"."), h.resolved(name)...)
	t.check("network", id, len(found) == 0, "DNS wildcard check was successful",
		fmt.Sprintf("DNS wildcard configuration was detected for domain *.%s - the installation will not be able to complete while this record exists. Please remove it to proceed. The domain resolves to addresses %s", c.fullName(), strings.Join(found, ", ")))
}

func validatePreparation(t table, h *host, role Hardware) {
	switch d := h.diskSpeed; {
	case d == nil:
		t.add("hardware", "sufficient-installation-disk-speed", success, "Speed of installation disk has not yet been measured")
	case d.ExitCode != 0 || role.FSync > 0 && d.Millis > role.FSync:
		t.add("hardware", "sufficient-installation-disk-speed", failure, "While preparing the previous installation the installation disk speed measurement failed or was found to be insufficient")
	default:
		t.add("hardware", "sufficient-installation-disk-speed", success, "Speed of installation disk is sufficient")
	}
	var missing []string
	for image, result := range h.images {
		if result != success {
			missing = append(missing, image)
		}
	}
	slices.Sort(missing)
	t.check("network", "container-images-available", len(missing) == 0,
		"All required container images were either pulled successfully or no attempt was made to pull them",
		fmt.Sprintf("Failed to fetch container images needed for installation from %s. This may be due to a network hiccup. Retry to install again. If this problem persists, check your network settings to make sure you're not blocked.", strings.Join(missing, ",")))
}
