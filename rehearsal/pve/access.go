package pve

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// A User owns tokens. The rights of a token are at most those of its user,
// where the user is listed; a token of nobody has those of its own ACL.
type User struct {
	ID       string // "slipway@pve"; root@pam may do everything
	Groups   []string
	ACL      []ACL
	Disabled bool // neither it nor its tokens are let in
}

// A Group passes what its ACL grants on to its members.
type Group struct {
	Name string
	ACL  []ACL
}

// A Token is an API token. It has the rights of its own ACL as far as its
// user has them, too; without privilege separation those of its user.
type Token struct {
	ID         string // "slipway@pve!rehearsal"
	Secret     string
	ACL        []ACL
	NoPrivsep  bool // the user's rights, not the token's own
	Expired    bool
	ownerKnown bool
}

// An ACL grants roles or single privileges on a path, and below it when
// Propagate is set. As on the real server an entry nearer to the object
// replaces those above it. Privileges that the release does not have count
// for nothing, as after an upgrade.
type ACL struct {
	Path       string
	Privileges []string
	Propagate  bool
	Roles      []string
}

// A grant is one role of somebody on a path.
type grant struct {
	who       string // user, token, or "@" and a group
	role      string
	propagate bool
}

// accounts are users and tokens with what the ACL grants them. All of it is
// guarded by Server.mu.
type accounts struct {
	valid  map[string]bool // privileges of the release
	users  map[string]User
	tokens map[string]*Token
	roles  map[string][]string
	acl    map[string][]grant // by path
}

func newAccounts(cfg Config, r release) (*accounts, error) {
	a := &accounts{valid: map[string]bool{}, users: map[string]User{}, tokens: map[string]*Token{}, roles: r.builtInRoles(), acl: map[string][]grant{}}
	for _, priv := range a.roles[administrator] {
		a.valid[priv] = true
	}
	maps.Copy(a.roles, cfg.Roles)
	for _, g := range cfg.Groups {
		if err := a.add("@"+g.Name, g.ACL...); err != nil {
			return nil, err
		}
	}
	for _, u := range cfg.Users {
		a.users[u.ID] = u
		if err := a.add(u.ID, u.ACL...); err != nil {
			return nil, err
		}
	}
	for _, t := range cfg.Tokens {
		owner, _, _ := strings.Cut(t.ID, "!")
		_, t.ownerKnown = a.users[owner]
		a.tokens[t.ID] = &t
		if err := a.add(t.ID, t.ACL...); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *accounts) add(who string, acls ...ACL) error {
	for _, acl := range acls {
		roles := acl.Roles
		if len(acl.Privileges) > 0 {
			role := roleOf(acl.Privileges)
			a.roles[role] = acl.Privileges
			roles = append(slices.Clone(roles), role)
		}
		for _, role := range roles {
			if _, ok := a.roles[role]; !ok {
				return fmt.Errorf("role '%s' does not exist", role)
			}
			p := path.Clean(acl.Path)
			a.acl[p] = append(a.acl[p], grant{who, role, acl.Propagate})
		}
	}
	return nil
}

// on returns the roles that who has on p, and whether they propagate:
// those of the nearest path that says anything about p.
func (a *accounts) on(who, p string) map[string]bool {
	var found map[string]bool
	for at := p; ; at = path.Dir(at) {
		if found = a.at(who, at, at == p); len(found) > 0 || at == "/" {
			break
		}
	}
	if propagate, none := found[noAccess]; none {
		return map[string]bool{noAccess: propagate}
	}
	return found
}

// at is what the entries of one path say: those of the user or token itself,
// else those of its groups.
func (a *accounts) at(who, p string, final bool) map[string]bool {
	found := a.entries(who, p, final)
	if len(found) == 0 {
		for _, group := range a.users[who].Groups {
			maps.Copy(found, a.entries("@"+group, p, final))
		}
	}
	return found
}

func (a *accounts) entries(who, p string, final bool) map[string]bool {
	found := map[string]bool{}
	for _, g := range a.acl[p] {
		if g.who == who && (final || g.propagate) {
			found[g.role] = found[g.role] || g.propagate
		}
	}
	return found
}

// privileges returns what the user or token id may do on p, with what its
// pools give; the value says whether it holds for what is below, too.
func (a *accounts) privileges(id, p string, pools []string) map[string]bool {
	owner, _, isToken := strings.Cut(id, "!")
	switch t := a.tokens[id]; {
	case id == "root@pam":
		return a.flatten(map[string]bool{administrator: true})
	case isToken && t == nil:
		return nil
	case isToken && t.NoPrivsep:
		return a.privileges(owner, p, pools)
	case isToken && t.ownerKnown && owner != "root@pam":
		return intersect(a.flatten(a.withPools(id, p, pools)), a.privileges(owner, p, pools))
	}
	return a.flatten(a.withPools(id, p, pools))
}

// withPools adds the roles on the pools that p is a member of. They never
// propagate, and NoAccess wins on either side.
func (a *accounts) withPools(id, p string, pools []string) map[string]bool {
	roles := a.on(id, p)
	if _, none := roles[noAccess]; none {
		return roles
	}
	for _, pool := range pools {
		for role := range a.on(id, "/pool/"+pool) {
			if role == noAccess {
				return map[string]bool{noAccess: false}
			}
			if _, have := roles[role]; !have {
				roles[role] = false
			}
		}
	}
	return roles
}

func (a *accounts) flatten(roles map[string]bool) map[string]bool {
	privs := map[string]bool{}
	for role, propagate := range roles {
		for _, priv := range a.roles[role] {
			if a.valid[priv] {
				privs[priv] = privs[priv] || propagate
			}
		}
	}
	return privs
}

func intersect(a, b map[string]bool) map[string]bool {
	common := map[string]bool{}
	for priv, propagate := range a {
		if other, ok := b[priv]; ok {
			common[priv] = propagate && other
		}
	}
	return common
}
