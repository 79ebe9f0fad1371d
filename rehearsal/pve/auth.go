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
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, _, _ := strings.Cut(id, "!")
	t := s.accounts.tokens[id]
	if t == nil || t.Expired || s.accounts.users[owner].Disabled || subtle.ConstantTimeCompare([]byte(t.Secret), []byte(secret)) != 1 {
		return nil
	}
	return t
}

// privileges is what t may do on p; the value says whether it holds for what
// is below, too. The caller holds s.mu.
func (s *Server) privileges(t *Token, p string) map[string]bool {
	p = path.Clean(p)
	return s.accounts.privileges(t.ID, p, s.poolsOf(p))
}

// poolsOf are the pools that a VM or storage is a member of.
func (s *Server) poolsOf(p string) []string {
	if id, err := strconv.Atoi(strings.TrimPrefix(p, "/vms/")); err == nil {
		if m := s.vms[id]; m != nil && m.pool != "" {
			return []string{m.pool}
		}
		return nil
	}
	if id, ok := strings.CutPrefix(p, "/storage/"); ok {
		if store, err := s.storage(id); err == nil {
			return store.Pools
		}
	}
	return nil
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
