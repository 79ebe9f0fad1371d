package loadbalancer

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/slipway-project/slipway/templates"
)

// Validate reports everything that is wrong with c, joined: names that are
// not lower-case DNS labels, names or binds used twice, addresses that are not
// plain literals, frontends that accept on every address of the host, a
// machine frontend open to anybody, unknown kinds of checks, roles and modes.
func (c Config) Validate() error {
	errs := []error{c.Mode.validate()}
	names, binds := map[string]bool{}, map[netip.AddrPort]bool{}
	for _, f := range c.Frontends {
		if names[f.Name] || binds[f.Bind] {
			errs = append(errs, fmt.Errorf("frontend %q on %s: name or address is used twice", f.Name, f.Bind))
		}
		names[f.Name], binds[f.Bind] = true, true
		if err := f.validate(); err != nil {
			errs = append(errs, fmt.Errorf("frontend %q: %w", f.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (m Mode) validate() error {
	switch m {
	case "", ModeAuto, ModeHAProxy, ModeEmbedded:
		return nil
	}
	return fmt.Errorf("unknown mode %q", m)
}

func (f Frontend) validate() error {
	errs := []error{validName(f.Name), validAddress(f.Bind), f.validCheck(), f.validAllow()}
	seen := map[string]bool{}
	for _, m := range f.Members {
		if seen[m.Name] {
			errs = append(errs, fmt.Errorf("member %q is there twice", m.Name))
		}
		seen[m.Name] = true
		errs = append(errs, validName(m.Name), validAddress(m.Address))
		if m.Role != "" && m.Role != RoleBootstrap {
			errs = append(errs, fmt.Errorf("member %q: unknown role %q", m.Name, m.Role))
		}
	}
	return errors.Join(errs...)
}

func (f Frontend) validCheck() error {
	if _, known := checks[f.Check]; !known {
		return fmt.Errorf("unknown check %q", f.Check)
	}
	return nil
}

// validAllow insists on clients for the machine config server: it hands the
// pull secret and the bootstrap kubeconfig to whoever asks.
func (f Frontend) validAllow() error {
	if f.Check == CheckMachine && len(f.Allow) == 0 {
		return errors.New("the machine config server must not be open to anybody: allow the machine network")
	}
	for _, p := range f.Allow {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("allowed clients %q are not an IP prefix", p)
		}
	}
	return nil
}

func validName(name string) error {
	if !templates.ValidName(name) {
		return fmt.Errorf("name %q is not a lower-case DNS label", name)
	}
	return nil
}

func validAddress(a netip.AddrPort) error {
	ip := a.Addr()
	switch {
	case !ip.IsValid() || a.Port() == 0 || ip.Zone() != "" || ip.Is4In6():
		return fmt.Errorf("address %q is not a plain IP address and port", a)
	case ip.IsUnspecified() || ip.IsMulticast():
		return fmt.Errorf("address %q is not that of one host", a)
	}
	return nil
}
