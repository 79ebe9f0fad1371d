package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/rehearsal/node"
)

// A Spec is what a machine is meant to have: it really has less.
type Spec struct {
	Name   string   `json:"name"` // for people only
	CPUs   int      `json:"cpus"`
	Memory int      `json:"memory"`         // MiB
	Disk   int      `json:"disk,omitempty"` // GiB; 0: none
	Boot   []string `json:"boot"`           // "disk", "cd"
}

// A World is what an image says of the world whose machines boot it.
type World struct {
	Site     netip.AddrPort     `json:"site"` // where the World's site answers
	Speed    pace.Pace          `json:"speed"`
	Machines map[uuid.UUID]Spec `json:"machines,omitempty"` // by SMBIOS UUID: those that do not carry their Spec
}

// WorldISO is the name of the World on an image.
const WorldISO = "images/world.json"

// readWorld finds the World on the image that a medium begins with.
func readWorld(medium string) (w World, err error) {
	f, err := os.Open(medium)
	if err != nil {
		return w, err
	}
	defer f.Close()
	text, err := node.ReadISOFile(f, WorldISO)
	if err == nil {
		err = json.Unmarshal(text, &w)
	}
	if err != nil {
		return w, fmt.Errorf("%s: %w", medium, err)
	}
	return w, nil
}

// describe returns the Spec that machine id carries, else what the image says.
func (w World) describe(id uuid.UUID, oem []byte) (Spec, error) {
	s, err := parseOEM(oem)
	if !errors.Is(err, errNoSpec) {
		return s, err
	}
	s, ok := w.Machines[id]
	if !ok {
		return s, fmt.Errorf("%w, and the image knows no machine %s", err, id)
	}
	return s, nil
}

var errNoSpec = errors.New("no SMBIOS OEM string describes this machine")

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
	return s, errNoSpec
}
