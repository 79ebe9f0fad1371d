package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

// A Drift is a way in which what exists differs from the spec.
type Drift struct {
	What    string `json:"what"`
	Repairs bool   `json:"repairs"`       // `up` puts it right, or tries to
	Why     string `json:"why,omitempty"` // it does not, and what does
}

const anew = "not in place: `slipway down`, then `slipway up`"

// drift says how a machine differs from its node; what the provider itself
// noticed comes last.
func (o Observed) drift(n spec.Node, m provider.Machine) []Drift {
	var found []Drift
	differ := func(what string, want, got any, d Drift) {
		if want != got {
			d.What = fmt.Sprintf("%s is %v, the spec says %v", what, got, want)
			found = append(found, d)
		}
	}
	differ("cpus", n.CPUs, m.CPUs, o.resize(m))
	differ("memory (MiB)", n.Memory, m.Memory, o.resize(m))
	differ("disk (GiB)", n.Disk, m.Disk, Drift{Why: anew})
	differ("uuid", n.UUID, m.UUID, Drift{Why: anew})
	differ("mac", n.MAC.String(), cmp.Or(macOf(m), "missing"), Drift{Why: anew})
	for _, said := range m.Adrift {
		d := o.mend()
		if d.What = said; !slices.ContainsFunc(found, func(f Drift) bool { return f.What == said }) {
			found = append(found, d)
		}
	}
	return found
}

// mend is drift that the provider can put right, if it can at all.
func (o Observed) mend() Drift {
	if o.Repairs {
		return Drift{Repairs: true}
	}
	return Drift{Why: "the provider changes no machine that exists"}
}

// resize is drift that can be put right while the machine is off.
func (o Observed) resize(m provider.Machine) Drift {
	if o.Repairs && m.Power != provider.PowerOff {
		return Drift{Why: "only while the machine is off: shut it down, then run `slipway up`"}
	}
	return o.mend()
}

func repaired(all []Drift) bool {
	return slices.ContainsFunc(all, func(d Drift) bool { return d.Repairs })
}

// install plans for the cluster itself, whose release `up` does not change.
func (o Observed) install(c spec.Cluster) Change {
	done := ensure(o.Installed, Change{Kind: Cluster, Name: c.FullName(), Detail: title(c)})
	product, want, _ := strings.Cut(c.Release, "-")
	if o.Installed && o.Release != "" && !isOf(o.Release, want) {
		done.Drift = []Drift{{What: fmt.Sprintf("release is %s, the spec says %s", o.Release, c.Release),
			Why: fmt.Sprintf("`up` upgrades no cluster: use `oc adm upgrade`, or write release = %q", product+"-"+sameLength(o.Release, want))}}
	}
	return done
}

// isOf reports whether release is version, or one of the minor that it is.
func isOf(release, version string) bool {
	rest, ok := strings.CutPrefix(release, version)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '-')
}

// sameLength is the part of release that is as exact as version is.
func sameLength(release, version string) string {
	if parts := strings.Split(release, "."); strings.Count(version, ".") == 1 && len(parts) > 2 {
		return parts[0] + "." + parts[1]
	}
	return release
}

// serve plans for the services. They follow their document without a restart.
func (o Observed) serve(c spec.Cluster, want services.Document) Change {
	s := ensure(o.Services, Change{Kind: Services, Name: c.FullName(), Detail: servicesOf(c.Services)})
	switch {
	case !o.Services:
	case o.Served == nil:
		s.Action, s.Reason = Update, "they run, and no document here says what they serve"
	default:
		if s.Drift = outdated(*o.Served, want); repaired(s.Drift) {
			s.Action, s.Reason = Update, "they serve something else than the spec says"
		}
	}
	return s
}

// servicesOf says what of the services is slipway's, where, and on which hosts.
func servicesOf(s spec.Services) string {
	what := "DNS and load balancer"
	switch {
	case s.DNS.Server.IsValid():
		what = "load balancer"
	case s.Balancer.Mode == spec.BalancerExternal:
		what = "DNS"
	}
	what += " at " + strings.Join(lines(s.Addresses(), netip.Addr.String), ", ")
	switch s.Mode {
	case spec.ServicesVM:
		what += ", on machine " + s.Machine.Full
	case spec.ServicesSSH:
		what += ", on " + strings.Join(lines(s.Hosts, func(h spec.ServicesHost) string { return h.Host }), ", ")
	}
	return what
}

// outdated says how what is served differs from what is wanted.
func outdated(got, want services.Document) []Drift {
	if digest(normal(got)) == digest(normal(want)) {
		return nil
	}
	found := slices.Concat(
		against("DNS listens at", lines(got.DNS.Listen, netip.AddrPort.String), lines(want.DNS.Listen, netip.AddrPort.String)),
		against("DNS record", lines(records(got), Record.String), lines(records(want), Record.String)),
		against("frontend", lines(frontends(got), Frontend.String), lines(frontends(want), Frontend.String)))
	if found == nil {
		return []Drift{{What: "settings of DNS or load balancer differ", Repairs: true}}
	}
	return found
}

// normal is d without its serial, which grows with every change.
func normal(d services.Document) services.Document {
	d.Serial = 0
	d.DNS.Zones = slices.Clone(d.DNS.Zones)
	for i := range d.DNS.Zones {
		d.DNS.Zones[i].Serial = 0
	}
	return d
}

func lines[T any](of []T, text func(T) string) []string {
	all := make([]string, len(of))
	for i, v := range of {
		all[i] = text(v)
	}
	return all
}

// against lists what is only in one of got and want.
func against(what string, got, want []string) (found []Drift) {
	only := func(in, other []string, ends string) {
		there := make(map[string]bool, len(other))
		for _, line := range other {
			there[line] = true
		}
		for _, line := range in {
			if !there[line] {
				found = append(found, Drift{What: what + " " + line + ends, Repairs: true})
			}
		}
	}
	only(got, want, " is not in the spec")
	only(want, got, " is missing")
	return found
}
