package proxmox

import (
	"fmt"
	"regexp"
	"strconv"
)

// A upid is the handle of a task: UPID:node:pid:pstart:start:type:id:user:
// (PVE::Tools::upid_decode). It is used in paths, so nothing that would bend
// one is accepted.
type upid struct {
	text             string
	node, kind, user string
	id               string // of what it is about: a VMID, or nothing
	start            int64  // Unix time by the node's clock
}

var upidShape = regexp.MustCompile(
	`^UPID:([A-Za-z0-9][A-Za-z0-9-]*):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:([0-9A-Fa-f]{8}):([^:\s/?#%]+):([^:\s/?#%]*):([^:\s/?#%]+):$`)

func parseUPID(s string) (upid, error) {
	m := upidShape.FindStringSubmatch(s)
	if m == nil {
		return upid{}, fmt.Errorf("task handle %.100q is not a UPID", s)
	}
	start, err := strconv.ParseInt(m[2], 16, 64)
	return upid{text: s, node: m[1], start: start, kind: m[3], id: m[4], user: m[5]}, err
}

// path returns the API path of the task.
func (u upid) path() string { return "/nodes/" + u.node + "/tasks/" + u.text }
