package pve

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/rehearsal/pve/pveschema"
)

func TestEndpointsAreThoseOfTheOfficialSchema(t *testing.T) {
	for release, official := range pveschema.Reference(t) {
		for _, e := range endpoints {
			t.Run(release+" "+e.method+" "+e.path, func(t *testing.T) {
				m, _ := official.Find(e.method, e.path)
				if m == nil {
					t.Fatal("the official schema has no such method")
				}
				r, err := parseRelease(release)
				if err != nil {
					t.Fatal(err)
				}
				compareParameters(t, e.schema(r), m)
			})
		}
	}
}

func compareParameters(t *testing.T, ours schema, m *pveschema.Method) {
	for name, p := range ours {
		theirs := m.Parameters[name]
		switch {
		case theirs == nil:
			t.Errorf("%s: accepted here, unknown there", name)
		case p.kind != theirs.Type:
			t.Errorf("%s: %s here, %s there", name, p.kind, theirs.Type)
		case p.members == 0 && p.optional != theirs.Optional:
			t.Errorf("%s: optional is %t here, %t there", name, p.optional, theirs.Optional)
		case p.requires != theirs.Requires:
			t.Errorf("%s: requires %q here, %q there", name, p.requires, theirs.Requires)
		default:
			compareValues(t, name, p, theirs)
		}
	}
	for name, theirs := range m.Parameters {
		if _, ours := ours[name]; !ours && !theirs.Optional {
			t.Errorf("%s: required there, unknown here", name)
		}
	}
}

const samples = 200 // random values for each parameter

// compareValues feeds both validators the same values. What is accepted here
// must be accepted there; and the other way round where that is decidable:
// the values are made of what our side knows, and the format is no secret.
func compareValues(t *testing.T, name string, p property, theirs *pveschema.Parameter) {
	name = strings.Replace(name, "[n]", "0", 1)
	r := rand.New(rand.NewPCG(1, 2))
	for range samples {
		value := p.sample(r)
		ours, official := p.check(name, value), theirs.Check(value)
		if ours == nil && official != nil {
			t.Errorf("%s=%q: accepted here, there %v", name, value, official)
		}
		if ours != nil && official == nil && theirs.Known() && !narrower(p) {
			t.Errorf("%s=%q: accepted there, here %v", name, value, ours)
		}
	}
}

// narrower says whether values of p have rules beyond the published schema:
// volumes, whose format is only named, and memory, whose keys are.
func narrower(p property) bool {
	_, drive := p.keys["file"]
	_, memory := p.keys["current"]
	return drive || memory
}

var oddities = []string{"", " ", "0", "1", "2", "-1", "+5", "1.5", "007", "99", "100", "65521", "1e3", "4095", "a", "A-b", "-a", "ä",
	"vmbr0", "lab.test", "under_score", "a/b", "a/b/c/d", "on", "YES", "none", "local:iso/x.iso", "x;y", "x,y", "=", "x=", "=x", "virtio,bridge",
	"52:54:00:00:00:01", "53:54:00:00:00:01", "node", "enabled=1,enabled=0", strings.Repeat("x", 300)}

// sample makes a value for p: mostly likely ones, some odd.
func (p property) sample(r *rand.Rand) string {
	switch n := r.IntN(10); {
	case n < 3:
		return oddities[r.IntN(len(oddities))]
	case p.keys != nil:
		return p.keys.sample(r)
	case p.kind == "boolean":
		return strconv.Itoa(r.IntN(2))
	case p.enum != nil:
		return p.enum[r.IntN(len(p.enum))]
	case p.min != nil && n < 7:
		return strconv.Itoa(int(*p.min) + r.IntN(5) - 2)
	case p.max != nil:
		return strconv.Itoa(int(*p.max) + r.IntN(5) - 2)
	}
	letters := []byte("aZ9-_.:;/ %+")
	text := make([]byte, 1+r.IntN(6))
	for i := range text {
		text[i] = letters[r.IntN(len(letters))]
	}
	return string(text)
}

func (s schema) sample(r *rand.Rand) string {
	names := slices.Sorted(maps.Keys(s))
	wanted := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return s[name].optional })
	for range r.IntN(4) {
		wanted = append(wanted, names[r.IntN(len(names))])
	}
	var parts []string
	for _, name := range wanted {
		value := s[name].sample(r)
		if !s[name].isDefault || r.IntN(2) == 0 {
			value = name + "=" + value
		}
		parts = append(parts, value)
	}
	return strings.Join(parts, ",")
}
