package pve

import (
	"path"
	"slices"
)

// Grant adds acl to what the user, token ("user@realm!name") or group
// ("@name") may do. A role or privilege that the release does not have is an
// error.
func (s *Server) Grant(who string, acl ACL) error {
	if err := s.release.known(acl.Privileges); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts.add(who, acl)
}

// Revoke takes privileges on exactly this path away from a user, token or
// group, whichever role they came with; without any it takes all roles there.
// What is granted above or below stays. Nothing to take is no error.
func (s *Server) Revoke(who, aclPath string, privileges ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := path.Clean(aclPath)
	var kept []grant
	for _, g := range s.accounts.acl[p] {
		if g.who != who {
			kept = append(kept, g)
		} else if left, ok := s.accounts.without(g, privileges); ok {
			kept = append(kept, left)
		}
	}
	s.accounts.acl[p] = kept
}

// without returns the grant with the privileges taken out of its role.
func (a *accounts) without(g grant, privileges []string) (grant, bool) {
	left := slices.DeleteFunc(slices.Clone(a.roles[g.role]), func(p string) bool { return slices.Contains(privileges, p) })
	if len(privileges) == 0 || len(left) == 0 {
		return g, false
	}
	g.role = roleOf(left)
	a.roles[g.role] = left
	return g, true
}
