package pve

import (
	"crypto/subtle"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// authenticate finds the token of a request, nil when it has none or a wrong
// one. Only API tokens are accepted, no tickets.
func (s *Server) authenticate(r *http.Request) *Token {
	header := r.Header.Get("Authorization")
	value, ok := strings.CutPrefix(header, "PVEAPIToken=")
	if !ok {
		value, ok = strings.CutPrefix(header, "PVEAPIToken ")
	}
	id, secret, both := strings.Cut(value, "=")
	if !ok || !both {
		return nil
	}
	for i := range s.cfg.Tokens {
		t := &s.cfg.Tokens[i]
		if t.ID == id && subtle.ConstantTimeCompare([]byte(t.Secret), []byte(secret)) == 1 {
			return t
		}
	}
	return nil
}

// granted returns the privileges that the ACL gives on p: those of the
// nearest path that says anything about p; the value says whether they
// propagate to what is below.
func (t *Token) granted(p string) map[string]bool {
	for at := p; ; at = path.Dir(at) {
		if found := t.at(at, at == p); len(found) > 0 || at == "/" {
			return found
		}
	}
}

func (t *Token) at(p string, final bool) map[string]bool {
	found := map[string]bool{}
	for _, acl := range t.ACL {
		if path.Clean(acl.Path) != p || !acl.Propagate && !final {
			continue
		}
		for _, priv := range acl.Privileges {
			found[priv] = found[priv] || acl.Propagate
		}
	}
	return found
}

// privileges adds to granted what membership in a pool gives on /vms/ID. The
// caller holds s.mu.
func (s *Server) privileges(t *Token, p string) map[string]bool {
	privs := t.granted(path.Clean(p))
	id, err := strconv.Atoi(strings.TrimPrefix(p, "/vms/"))
	m := s.vms[id]
	if err != nil || m == nil || m.pool == "" {
		return privs
	}
	for priv := range t.granted("/pool/" + m.pool) {
		if _, have := privs[priv]; !have {
			privs[priv] = false // pool rights do not propagate
		}
	}
	return privs
}

// allowed says whether t has all of privs on p.
func (s *Server) allowed(t *Token, p string, privs ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allowedLocked(t, p, privs...)
}

func (s *Server) allowedLocked(t *Token, p string, privs ...string) bool {
	have := s.privileges(t, p)
	return !slices.ContainsFunc(privs, func(priv string) bool {
		_, ok := have[priv]
		return !ok
	})
}

// check is nil when t has all of privs on p; else it names the first missing.
func (s *Server) check(t *Token, p string, privs ...string) error {
	for _, priv := range privs {
		if !s.allowed(t, p, priv) {
			return forbidden(p + ", " + priv)
		}
	}
	return nil
}

// checkAny is nil when t has one of privs on p.
func (s *Server) checkAny(t *Token, p string, privs ...string) error {
	for _, priv := range privs {
		if s.allowed(t, p, priv) {
			return nil
		}
	}
	return forbidden(p + ", " + strings.Join(privs, "|"))
}

// checkVM asks the pool the VM is going to be in first, then the VM itself.
func (s *Server) checkVM(t *Token, vmid int, pool string, privs ...string) error {
	if pool != "" && s.allowed(t, "/pool/"+pool, privs...) {
		return nil
	}
	return s.check(t, vmPath(vmid), privs...)
}

func vmPath(vmid int) string { return "/vms/" + strconv.Itoa(vmid) }

// An access is the rule of an endpoint that is asked before its parameters
// are checked.
type access func(c *call) error

func anyone(*call) error { return nil }

// needs demands all of privs on a path template.
func needs(template string, privs ...string) access {
	return func(c *call) error { return c.srv.check(c.token, c.expand(template), privs...) }
}

// needsAny demands one of privs on a path template.
func needsAny(template string, privs ...string) access {
	return func(c *call) error { return c.srv.checkAny(c.token, c.expand(template), privs...) }
}

func both(first, second access) access {
	return func(c *call) error {
		if err := first(c); err != nil {
			return err
		}
		return second(c)
	}
}

func either(first, second access) access {
	return func(c *call) error {
		if first(c) == nil {
			return nil
		}
		return second(c)
	}
}
