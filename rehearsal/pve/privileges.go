package pve

import (
	"fmt"
	"slices"
	"strings"
)

// administrator is the role of all privileges, noAccess the one that takes
// away what was granted above.
const administrator, noAccess = "Administrator", "NoAccess"

// A privilegeGroup sorts the privileges of one kind of object as
// PVE::AccessControl does: the built-in roles follow from it.
type privilegeGroup struct {
	name                     string
	root, admin, user, audit []string
}

// groups returns the privileges of a release. Release 9 replaced VM.Monitor by
// the privileges of the guest agent and added VM.Replicate; 8.2 brought
// Sys.AccessNetwork; 8.0 SDN.Use and the mappings.
func (r release) groups() []privilegeGroup {
	vm := privilegeGroup{"VM", nil,
		[]string{"VM.Config.Disk", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network", "VM.Config.HWType", "VM.Config.Options",
			"VM.Allocate", "VM.Clone", "VM.Migrate", "VM.Snapshot", "VM.Snapshot.Rollback"},
		[]string{"VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.Backup", "VM.PowerMgmt"},
		[]string{"VM.Audit"}}
	if r.before(9, 0) {
		vm.admin = append(vm.admin, "VM.Monitor")
	} else {
		vm.admin = append(vm.admin, "VM.GuestAgent.Unrestricted", "VM.Replicate")
		vm.user = append(vm.user, "VM.GuestAgent.FileRead", "VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.FileWrite")
		vm.audit = append(vm.audit, "VM.GuestAgent.Audit")
	}
	sys := privilegeGroup{"Sys", []string{"Sys.PowerMgmt", "Sys.Modify", "Sys.Incoming"}, []string{"Sys.Console", "Sys.Syslog"}, nil, []string{"Sys.Audit"}}
	if !r.before(8, 2) {
		sys.root = append(sys.root, "Sys.AccessNetwork")
	}
	sdn := privilegeGroup{"SDN", nil, []string{"SDN.Allocate"}, nil, []string{"SDN.Audit"}}
	all := []privilegeGroup{vm, sys,
		{"Datastore", nil, []string{"Datastore.Allocate", "Datastore.AllocateTemplate"}, []string{"Datastore.AllocateSpace"}, []string{"Datastore.Audit"}},
		{"User", []string{"Realm.Allocate"}, []string{"User.Modify", "Group.Allocate", "Realm.AllocateUser"}, nil, nil},
		{"Pool", nil, []string{"Pool.Allocate"}, []string{"Pool.Audit"}, []string{"Pool.Audit"}}}
	if !r.before(8, 0) {
		sdn.user = []string{"SDN.Use"}
		all = append(all, privilegeGroup{"Mapping", nil, []string{"Mapping.Modify"}, []string{"Mapping.Use"}, []string{"Mapping.Audit"}})
	}
	return append(all, sdn)
}

// builtInRoles are the roles that every installation of the release has.
func (r release) builtInRoles() map[string][]string {
	roles := map[string][]string{noAccess: nil, administrator: {"Permissions.Modify"}, "PVETemplateUser": {"VM.Clone", "VM.Audit"}}
	add := func(role string, privs ...[]string) {
		roles[role] = append(roles[role], slices.Concat(privs...)...)
	}
	for _, g := range r.groups() {
		add(administrator, g.root, g.admin, g.user, g.audit)
		add("PVE"+g.name+"Admin", g.admin, g.user, g.audit)
		add("PVEAdmin", g.admin, g.user, g.audit)
		if len(g.user) > 0 {
			add("PVE"+g.name+"User", g.user, g.audit)
		}
		add("PVEAuditor", g.audit)
	}
	roles["PVEAdmin"] = slices.DeleteFunc(roles["PVEAdmin"], func(p string) bool { return p == "Mapping.Modify" })
	return roles
}

// Privileges returns the names of all privileges that the server's release
// has, in order.
func (s *Server) Privileges() []string {
	all := slices.Clone(s.release.builtInRoles()[administrator])
	slices.Sort(all)
	return slices.Compact(all)
}

// known is an error that names the privileges which the release does not have.
func (r release) known(privs []string) error {
	all := r.builtInRoles()[administrator]
	for _, priv := range privs {
		if !slices.Contains(all, priv) {
			return fmt.Errorf("invalid privilege '%s'", priv)
		}
	}
	return nil
}

// roleOf is the name of the role that stands for privileges granted without
// one.
func roleOf(privs []string) string {
	sorted := slices.Clone(privs)
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), " ")
}
