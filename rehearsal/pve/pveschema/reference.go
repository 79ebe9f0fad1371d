package pveschema

import (
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

// Reference loads the schemas of the releases that slipway speaks to, by
// release, from the reference data.
func Reference(t testing.TB) map[string]*Schema {
	t.Helper()
	schemas := map[string]*Schema{}
	for release, file := range map[string]string{"9.1": "pve-api-schema.json", "8.4": "pve-api-schema-8.4.json"} {
		s, err := Load(testbed.Reference(t, "data", file))
		if err != nil {
			t.Fatal(err)
		}
		schemas[release] = s
	}
	return schemas
}
