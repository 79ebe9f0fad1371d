package pveschema

import (
	"os"
	"path/filepath"
	"testing"
)

// Reference loads the schemas of the releases that slipway speaks to, by
// release, from the reference data that SLIPWAY_REFERENCE names. It skips the
// test when that is not set.
func Reference(t testing.TB) map[string]*Schema {
	t.Helper()
	root := os.Getenv("SLIPWAY_REFERENCE")
	if root == "" {
		t.Skip("SLIPWAY_REFERENCE does not name the reference data: no Proxmox VE schema to compare with")
	}
	schemas := map[string]*Schema{}
	for release, file := range map[string]string{"9.1": "pve-api-schema.json", "8.4": "pve-api-schema-8.4.json"} {
		s, err := Load(filepath.Join(root, "data", file))
		if err != nil {
			t.Fatal(err)
		}
		schemas[release] = s
	}
	return schemas
}
