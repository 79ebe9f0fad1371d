package node

import (
	"encoding/json"
	"net"
	"testing"

	"github.com/go-openapi/loads"
	"github.com/go-openapi/validate"
	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/testbed"
)

func TestHostID(t *testing.T) {
	id := uuid.MustParse("8e7a1ab0-2d3c-5c3e-9b43-0d5c9a3f0001")
	nics := []NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}, {MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}}
	tests := []struct {
		name string
		hw   Hardware
		want string
	}{
		{"SMBIOS UUID", Hardware{UUID: id, NICs: nics}, id.String()},
		{"baseboard serial wins", Hardware{UUID: id, Serial: "ABC123"}, "bbf2dead-3746-54cb-b32a-917afd236656"},
		{"serial without meaning", Hardware{UUID: id, Serial: "Not Specified"}, id.String()},
		{"lowest MAC", Hardware{NICs: nics}, "664af1a9-49e6-73a7-8e2e-548696f69cd8"},
	}
	for _, test := range tests {
		if got := New(test.hw, nil).hostID(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// The agent's reports fit the definitions of the official API.
func TestReportsFitTheOfficialDefinitions(t *testing.T) {
	doc, err := loads.Spec(testbed.Reference(t, "data", "assisted-service-swagger.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = doc.Expanded(); err != nil {
		t.Fatal(err)
	}
	a := &agent{system: testSystem(t)}
	do := func(s step) any {
		report, err := a.do(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	a.host.hw.Speed = 1e6
	for name, report := range map[string]any{
		"inventory":                             do(step{Type: "inventory"}),
		"domain_resolution_response":            do(step{Type: "domain-resolution", Args: []string{`{"domains":[]}`}}),
		"ntp_synchronization_response":          do(step{Type: "ntp-synchronizer", Args: []string{`{"ntp_source":"a,b"}`}}),
		"disk_speed_check_response":             do(step{Type: "installation-disk-speed-check", Args: []string{`{"path":"/dev/sda"}`}}),
		"container_image_availability_response": do(step{Type: "container-image-availability", Args: []string{`{"images":["quay.io/a/b:c"]}`}}),
		"step-reply":                            stepReply{Type: "inventory", ID: "inventory-1"},
	} {
		schema, ok := doc.Spec().Definitions[name]
		if !ok {
			t.Fatalf("no definition %s", name)
		}
		data, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		if err := validate.AgainstSchema(&schema, value, nil); err != nil {
			t.Errorf("%s: %v\n%s", name, err, data)
		}
		known := schema.Properties
		for key := range value.(map[string]any) {
			if _, ok := known[key]; !ok {
				t.Errorf("%s: property %s is not in the definition", name, key)
			}
		}
	}
}
