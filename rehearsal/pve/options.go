package pve

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// An IDRange is where the next free VMID is looked for, its end excluded. The
// zero value is the server's own, 100 to 1000000.
type IDRange struct{ Lower, Upper int }

// getOptions are the options of the datacentre; who may not audit it sees
// little more than the tags to choose from.
func getOptions(c *call) (any, error) {
	s := c.srv
	out := map[string]any{"allowed-tags": s.allowedTags(c.token)}
	if !s.allowed(c.token, "/", "Sys.Audit") {
		return out, nil
	}
	out["keyboard"] = "en-us"
	if r := s.cfg.NextID; r != (IDRange{}) {
		out["next-id"] = map[string]any{"lower": r.Lower, "upper": r.Upper}
	}
	if len(s.cfg.Tags.Registered) > 0 {
		out["registered-tags"] = s.cfg.Tags.Registered
	}
	if s.cfg.Tags.UserAllow != "" {
		out["user-tag-access"] = map[string]any{"user-allow": s.cfg.Tags.UserAllow, "user-allow-list": s.cfg.Tags.List}
	}
	return out, nil
}

// allowedTags are those a token may choose without inventing one.
func (s *Server) allowedTags(t *Token) []string {
	tags := map[string]bool{}
	privileged := s.allowed(t, "/", "Sys.Modify")
	mode := cmp.Or(s.cfg.Tags.UserAllow, "free")
	if mode != "none" || privileged {
		for _, tag := range s.cfg.Tags.List {
			tags[tag] = true
		}
	}
	if mode == "free" || mode == "existing" || privileged {
		maps.Copy(tags, s.tagsInUse(t, privileged))
	}
	for _, tag := range s.cfg.Tags.Registered {
		delete(tags, tag)
		if privileged {
			tags[tag] = true
		}
	}
	return slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(tags))))
}

// tagsInUse are those of all VMs, or of the VMs that t may audit.
func (s *Server) tagsInUse(t *Token, all bool) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags := map[string]bool{}
	for id, m := range s.vms {
		if !all && !s.allowedLocked(t, vmPath(id), "VM.Audit") {
			continue
		}
		for _, tag := range splitList(m.conf["tags"]) {
			tags[tag] = true
		}
	}
	return tags
}

// getNextID names the lowest free VMID; it reserves nothing.
func getNextID(c *call) (any, error) {
	s := c.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := c.params["vmid"]; id != "" {
		if s.vms[c.vmid()] != nil {
			return nil, badParam("vmid", "VM "+id+" already exists")
		}
		return id, nil
	}
	lower, upper := cmp.Or(s.cfg.NextID.Lower, 100), cmp.Or(s.cfg.NextID.Upper, 1_000_000)
	for id := lower; id < upper; id++ {
		if s.vms[id] == nil {
			return strconv.Itoa(id), nil // a string, whatever the schema says
		}
	}
	return nil, die("unable to get any free VMID in range [%d, %d]", lower, upper)
}
