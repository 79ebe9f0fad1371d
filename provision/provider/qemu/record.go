package qemu

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// A record is a machine on disk: DIR/machines/ID/machine.json. It is there
// before anything else of the machine, and goes last.
type record struct {
	Machine  provider.Machine `json:"machine"`
	Firmware qemu.Firmware    `json:"firmware"`
	Network  Network          `json:"network"`
}

const recordFile = "machine.json"

// idShape keeps ids from leaving the directory.
var idShape = regexp.MustCompile(`^[0-9a-f]{8}$`)

var (
	errGone    = errors.New("it is gone")
	errForeign = errors.New("it does not carry this cluster's mark")
)

// belongsTo reports whether r is m, and whose m says.
func (r record) belongsTo(m provider.Machine) bool {
	return m.Mark.Owns(r.Machine.Mark) && r.Machine.Name == m.Name
}

// read returns the record of id: errGone when there is nothing, errForeign
// when what is there was not made by us.
func read(dir, id string) (record, error) {
	if !idShape.MatchString(id) {
		return record{}, fmt.Errorf("id %q: %w", id, errGone)
	}
	at := filepath.Join(dir, "machines", id)
	text, err := os.ReadFile(filepath.Join(at, recordFile))
	if errors.Is(err, os.ErrNotExist) {
		if _, there := os.Lstat(at); there == nil {
			return record{}, fmt.Errorf("%s: %w", at, errForeign)
		}
		return record{}, fmt.Errorf("%s: %w", at, errGone)
	}
	var r record
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.Machine.ID != id { // a copy of the directory
		err = errForeign
	}
	if err != nil {
		return record{}, fmt.Errorf("%s: %w", filepath.Join(at, recordFile), err)
	}
	return r, nil
}

// write replaces the record; its directory is there.
func (r record) write(at string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(at, recordFile), append(text, '\n'), 0o600)
}

// records lists all machines of the cluster, of whichever id when the mark has
// none, in name order. What is not ours is left out.
func records(dir string, owner provider.Mark) (found []record, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "machines"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	for _, e := range entries {
		r, err := read(dir, e.Name())
		if errors.Is(err, errForeign) || errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list machines: %w", err)
		}
		if owner.Owns(r.Machine.Mark) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.Machine.Name, b.Machine.Name), cmp.Compare(a.Machine.ID, b.Machine.ID))
	})
	return found, nil
}

// owned returns the record of m after looking at its mark; every call that
// changes one goes through here.
func (p *Provider) owned(m provider.Machine) (record, error) {
	r, err := read(p.dir, m.ID)
	if err == nil && !r.belongsTo(m) {
		err = fmt.Errorf("%s: %w", p.machineDir(m.ID), errForeign)
	}
	return r, err
}

// mark is what the process carries, for whoever looks at it.
func (r record) mark() string {
	m := r.Machine
	return fmt.Sprintf("slipway-mark-v1 cluster=%s id=%s name=%s", m.Mark.Cluster, m.Mark.ID, m.Name)
}

// vm is the machine as o has it started, with nothing plugged into its network
// devices yet.
func (r record) vm(dir string, o order) qemu.VM {
	m, at := r.Machine, filepath.Join(dir, "machines", r.Machine.ID)
	v := qemu.VM{Name: m.Name, UUID: m.UUID, Mark: r.mark(), Accel: o.Accel, Firmware: r.Firmware, Dir: at}
	v.CPUs, v.Memory = o.Limits.of(m.CPUs, m.Memory)
	for i := range disks(m) {
		v.Disks = append(v.Disks, qemu.Disk{Path: diskPath(at, i), Format: "raw"})
	}
	if m.Media != "" {
		v.Media = filepath.Join(dir, "images", m.Media)
	}
	for _, n := range m.NICs {
		v.NICs = append(v.NICs, qemu.NIC{MAC: n.MAC, MTU: n.MTU})
	}
	return v
}

// disks are the sizes of all disks, in GiB.
func disks(m provider.Machine) []int { return append([]int{m.Disk}, m.Disks...) }

func diskPath(at string, i int) string { return filepath.Join(at, fmt.Sprintf("disk%d.raw", i)) }
