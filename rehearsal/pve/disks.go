package pve

import (
	"slices"
	"strings"
)

// reorder keeps the boot order in step with the drives: a CD drive that comes
// is put last, a device that goes is taken out.
func (u *update) reorder(m *machine) {
	keys, err := bootKeys.parse("boot", m.effective()["boot"])
	before := splitList(keys["order"])
	if err != nil || len(before) == 0 {
		return
	}
	after := slices.DeleteFunc(slices.Clone(before), func(device string) bool { return slices.Contains(u.delete, device) })
	for _, option := range driveNames {
		d, err := parseDrive(option, u.set[option])
		if err == nil && d.cdrom() && !slices.Contains(after, option) {
			after = append(after, option)
		}
	}
	if !slices.Equal(before, after) {
		m.set("boot", "order="+strings.Join(after, ";"))
	}
}

// takeOut removes an option. A disk that is taken out stays in its storage as
// "unused", from where it is removed for good. The caller holds s.mu.
func (s *Server) takeOut(m *machine, option string) error {
	d, err := parseDrive(option, m.conf[option])
	_, ours := s.volumes[d["file"]]
	unused := strings.HasPrefix(option, "unused")
	switch {
	case err == nil && isDrive(option) && m.conf["protection"] == "1":
		return die("can't remove drive '%s' - protection mode enabled", option)
	case unused && m.conf["protection"] == "1":
		return die("can't remove unused disk '%s' - protection mode enabled", m.conf[option])
	case unused:
		delete(s.volumes, m.conf[option])
	case err == nil && isDrive(option) && ours && !m.running:
		m.keepUnused(d["file"])
	}
	m.unset(option)
	return nil
}

// replaced keeps the disk that another one takes the place of. The caller
// holds s.mu.
func (s *Server) replaced(m *machine, option, value string) {
	before, err1 := parseDrive(option, m.conf[option])
	after, err2 := parseDrive(option, value)
	_, ours := s.volumes[before["file"]]
	if isDrive(option) && err1 == nil && err2 == nil && ours && !m.running && before["file"] != after["file"] {
		m.keepUnused(before["file"])
	}
}

func (m *machine) keepUnused(volid string) {
	for _, name := range numbered("unused", 256) {
		if m.conf[name] == "" {
			m.conf[name] = volid
			return
		}
	}
}

func (u *update) checkBoot(m *machine, value string) error {
	keys, _ := bootKeys.parse("boot", value)
	for _, device := range splitList(keys["order"]) {
		if m.effective()[device] == "" && u.set[device] == "" || slices.Contains(u.delete, device) {
			return die("invalid bootorder: device '%s' does not exist'", device)
		}
	}
	return nil
}
