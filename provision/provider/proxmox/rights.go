package proxmox

import (
	"fmt"
	"slices"
	"strings"
)

// rights is the answer of GET /access/permissions: for each path the
// privileges of the token, 1 when they hold below it too.
type rights map[string]map[string]number

// has looks at the nearest path that is listed: PVE has worked out there what
// is inherited.
func (r rights) has(path, privilege string) bool {
	if privileges, listed := r[path]; listed {
		_, ok := privileges[privilege]
		return ok
	}
	for path != "/" {
		path = path[:max(1, strings.LastIndex(path, "/"))]
		if privileges, listed := r[path]; listed {
			return privileges[privilege] == 1
		}
	}
	return false
}

// A need is what must be granted on a path, as one role.
type need struct {
	path, role string
	privileges []string
	optional   string // what is left undone without it; "" when it is needed
}

var (
	machinePrivileges = []string{
		"VM.Allocate", "VM.Audit", "VM.PowerMgmt", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Disk",
		"VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options",
	}
	diskPrivileges  = []string{"Datastore.AllocateSpace", "Datastore.Audit"}
	imagePrivileges = []string{"Datastore.AllocateTemplate", "Datastore.Audit"}
)

// needs lists the least privileges that a run gets by with.
func (p *Provider) needs(links []string) []need {
	images := "/storage/" + p.cfg.Storage.ISO
	all := []need{
		p.machineNeed(),
		{path: "/storage/" + p.cfg.Storage.Disk, role: "SlipwayDisks", privileges: diskPrivileges},
		{path: images, role: "SlipwayImages", privileges: imagePrivileges},
		{path: images, role: "SlipwayCleanup", privileges: []string{"Datastore.Allocate"}, optional: "`slipway down` leaves the boot image there"},
	}
	for _, path := range links {
		all = append(all, networkNeed(path))
	}
	if strings.HasPrefix(p.cfg.Hardware.CPUType, "custom-") {
		all = append(all, need{path: "/nodes", role: "SlipwayNodes", privileges: []string{"Sys.Audit"}})
	}
	return all
}

func (p *Provider) machineNeed() need {
	if p.cfg.Pool == "" {
		return need{path: "/vms", role: "SlipwayMachines", privileges: machinePrivileges}
	}
	return need{path: "/pool/" + p.cfg.Pool, role: "SlipwayMachines", privileges: append([]string{"Pool.Audit"}, machinePrivileges...)}
}

// checkRights compares what the token may do with what will be done.
func (p *Provider) checkRights(s *survey) {
	for _, n := range p.needs(s.localLinks()) {
		missing := slices.DeleteFunc(slices.Clone(n.privileges), func(privilege string) bool { return s.rights.has(n.path, privilege) })
		switch {
		case len(missing) == 0:
		case n.optional != "":
			s.warn(n.grant(s.token), "the token lacks %s on %s: %s", strings.Join(missing, ", "), n.path, n.optional)
		default:
			s.fatal(n.grant(s.token), "the token lacks %s on %s%s", strings.Join(missing, ", "), n.path, n.doubt(missing))
		}
	}
}

// doubt names the other cause of having no rights at all on a storage: one that
// does not exist looks the same to a token.
func (n need) doubt(missing []string) string {
	storage, ok := strings.CutPrefix(n.path, "/storage/")
	if !ok || len(missing) < len(n.privileges) {
		return ""
	}
	return fmt.Sprintf(", or storage %q does not exist", storage)
}

// grant writes the commands for a node's shell, the same for 8 and 9. A token
// with privilege separation has at most what its user has, so both are given
// the role. It may be there already, with too little in it.
func (n need) grant(token apiToken) string {
	return strings.Join([]string{
		fmt.Sprintf("pveum role add %[1]s --privs %[2]q || pveum role modify %[1]s --privs %[2]q", n.role, strings.Join(n.privileges, " ")),
		fmt.Sprintf("pveum acl modify %s --users '%s' --roles %s", n.path, token.user, n.role),
		fmt.Sprintf("pveum acl modify %s --tokens '%s' --roles %s", n.path, token.id, n.role),
	}, "\n")
}
