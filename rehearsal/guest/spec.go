package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/slipway-project/slipway/internal/pace"
)

// A Spec is what a machine is meant to have and cannot look up: it really has
// less, or there is nothing to look at.
type Spec struct {
	Name    string         `json:"name"` // for its console only
	CPUs    int            `json:"cpus"`
	Memory  int            `json:"memory"`         // MiB
	Disk    int            `json:"disk,omitempty"` // GiB; 0: none
	Boot    []string       `json:"boot"`           // "disk", "cd"
	Speed   pace.Pace      `json:"speed"`
	Site    netip.AddrPort `json:"site"`    // where the World's site answers
	Address netip.Prefix   `json:"address"` // link-local, of the first interface
}

// oemPrefix tells a Spec from other strings.
const oemPrefix = "slipway-guest:"

// OEMString is the SMBIOS OEM string (type 11) that holds the Spec.
func (s Spec) OEMString() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("bug: encode a guest's spec: %v", err)) // it has no types that fail
	}
	return oemPrefix + string(text)
}

// parseOEM finds the Spec in an SMBIOS structure of type 11: after its
// formatted part, of the length in its second byte, strings that end with a
// zero (DSP0134 sections 6.1.3 and 7.12).
func parseOEM(structure []byte) (s Spec, err error) {
	if len(structure) < 2 || int(structure[1]) > len(structure) {
		return s, errors.New("SMBIOS structure: too short")
	}
	for text := range bytes.SplitSeq(structure[structure[1]:], []byte{0}) {
		spec, ok := strings.CutPrefix(string(text), oemPrefix)
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(spec), &s); err != nil {
			return s, fmt.Errorf("SMBIOS OEM string: %w", err)
		}
		return s, nil
	}
	return s, errors.New("no SMBIOS OEM string describes this machine")
}
