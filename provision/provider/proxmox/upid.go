package proxmox

import (
	"fmt"
	"regexp"
)

// A upid is the handle of a task: UPID:node:pid:pstart:start:type:id:user:
// (PVE::Tools::upid_decode). It is used in paths, so nothing that would bend
// one is accepted.
type upid struct {
	text             string
	node, kind, user string
}

var upidShape = regexp.MustCompile(
	`^UPID:([A-Za-z0-9][A-Za-z0-9-]*):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:([^:\s/?#%]+):[^:\s/?#%]*:([^:\s/?#%]+):$`)

func parseUPID(s string) (upid, error) {
	m := upidShape.FindStringSubmatch(s)
	if m == nil {
		return upid{}, fmt.Errorf("task handle %.100q is not a UPID", s)
	}
	return upid{text: s, node: m[1], kind: m[2], user: m[3]}, nil
}

// path returns the API path of the task.
func (u upid) path() string { return "/nodes/" + u.node + "/tasks/" + u.text }
