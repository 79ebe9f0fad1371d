package pve

import (
	"cmp"
	"slices"
	"strings"
)

// A TagPolicy says which tags users may give who lack Sys.Modify on "/"
// (user-tag-access and registered-tags of the datacentre). The zero value
// allows all.
type TagPolicy struct {
	UserAllow  string   // "free", "existing", "list" or "none"; default "free"
	List       []string // allowed besides existing ones
	Registered []string // never
}

// sortTags is how the server keeps tags: lower case, sorted, once each.
func sortTags(tags string) string {
	list := splitList(strings.ToLower(tags))
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ";")
}

// mayTag asks for the right to change a VM's tags from before to after.
func (s *Server) mayTag(t *Token, vmid int, before, after string) error {
	if err := s.check(t, vmPath(vmid), "VM.Config.Options"); err != nil {
		return err
	}
	if s.allowed(t, "/", "Sys.Modify") {
		return nil
	}
	old, new := splitList(before), splitList(after)
	policy := s.cfg.Tags
	if _, struck := s.strike(Fault{Kind: TagsRefused}); struck {
		policy = TagPolicy{UserAllow: "none"}
	}
	for _, tag := range slices.Concat(old, new) {
		if slices.Contains(old, tag) != slices.Contains(new, tag) && !s.tagAllowed(t, policy, tag) {
			return forbidden("/, Sys.Modify for modifying tag '" + tag + "'")
		}
	}
	return nil
}

func (s *Server) tagAllowed(t *Token, policy TagPolicy, tag string) bool {
	switch mode := cmp.Or(policy.UserAllow, "free"); {
	case slices.Contains(policy.Registered, tag):
		return false
	case mode == "free", mode != "none" && slices.Contains(policy.List, tag):
		return true
	default:
		return mode == "existing" && s.tagsInUse(t, false)[tag]
	}
}
