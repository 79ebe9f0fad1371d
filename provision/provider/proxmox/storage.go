package proxmox

import (
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

var storageName = regexp.MustCompile(`^(?i:[a-z][a-z0-9_.-]*[a-z0-9])$`)

// diskFormats are those that PVE makes disks in and QEMU discards blocks of.
var diskFormats = []string{"raw", "qcow2"}

func (r rawConfig) storage(cfg *Config) *hcl.Diagnostic {
	const summary = "Invalid storage"
	cfg.Storage = Storage{Disk: "local-lvm", ISO: "local"}
	if r.Storage == cty.NilVal || r.Storage.IsNull() {
		return nil
	}
	if !r.Storage.Type().IsObjectType() {
		return wrong(r.StorageRange, summary, `Write an object, such as storage = { disk = "local-lvm", iso = "local" }.`)
	}
	for key, value := range r.Storage.AsValueMap() {
		field := map[string]*string{"disk": &cfg.Storage.Disk, "iso": &cfg.Storage.ISO, "format": &cfg.Storage.Format}[key]
		if field == nil {
			return wrong(r.StorageRange, summary, "There is no %q in storage. It has disk, for disks, format, of those, and iso, for boot images.", key)
		}
		if value.IsNull() || value.Type() != cty.String {
			return wrong(r.StorageRange, summary, "%s is not a string.", key)
		}
		*field = value.AsString()
	}
	return r.storageWords(cfg.Storage)
}

func (r rawConfig) storageWords(s Storage) *hcl.Diagnostic {
	const summary = "Invalid storage"
	for _, part := range []struct{ key, name string }{{"disk", s.Disk}, {"iso", s.ISO}} {
		if !storageName.MatchString(part.name) {
			return wrong(r.StorageRange, summary, "%s is not the name of a storage. Write one as `pvesm status` lists it, such as local-lvm.", part.key)
		}
	}
	if s.Format != "" && !slices.Contains(diskFormats, s.Format) {
		return wrong(r.StorageRange, summary, "format %q is neither raw nor qcow2. Leave it out for the storage's own.", s.Format)
	}
	return nil
}
