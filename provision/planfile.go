package provision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/plan"
)

// PlanFileVersion is the version of the JSON form of a [PlanFile].
const PlanFileVersion = 1

// maxPlanFile bounds what is read: the plan of 10,000 nodes takes 11 MB.
const maxPlanFile = 64 << 20

// A PlanFile is a plan that was kept to be carried out later, as it is or not
// at all. It holds no secret.
type PlanFile struct {
	Version int       `json:"version"`
	Slipway string    `json:"slipway"` // version of the program that wrote it
	Written time.Time `json:"written"`
	Inputs  Inputs    `json:"inputs"`
	Plan    plan.Plan `json:"plan"`
}

// Inputs say which spec a plan is of, so that it can be read again.
type Inputs struct {
	Files    []string `json:"files"`               // absolute paths
	Override string   `json:"override,omitempty"`  // absolute path
	Cluster  string   `json:"cluster,omitempty"`   // as given by --cluster
	Vars     []string `json:"vars,omitempty"`      // as given by --var, which takes no secrets
	VarFiles []string `json:"var_files,omitempty"` // absolute paths
}

// command is the one that makes the plan anew.
func (i Inputs) command(out string) string {
	words := []string{"slipway plan"}
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				words = append(words, flag, quoted(v))
			}
		}
	}
	add("-f", i.Files...)
	add("--override", i.Override)
	add("--cluster", i.Cluster)
	add("--var", i.Vars...)
	add("--var-file", i.VarFiles...)
	add("--out", out)
	return strings.Join(words, " ")
}

// quoted is a word as one writes it to a shell.
func quoted(word string) string {
	if !strings.ContainsAny(word, " \t\n'\"\\$`!*?[](){}<>|&;#~") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// WritePlanFile replaces the file at path, mode 0600, at one stroke.
func WritePlanFile(path string, f PlanFile) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("plan file: %w", err)
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}

// ReadPlanFile returns the plan file at path. Another version, unknown fields
// or anything after it are errors.
func ReadPlanFile(path string) (PlanFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return PlanFile{}, fmt.Errorf("plan file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPlanFile+1))
	if err != nil {
		return PlanFile{}, fmt.Errorf("plan file: %w", err)
	}
	file, err := parsePlanFile(text)
	if err != nil {
		return PlanFile{}, hint.With(fmt.Errorf("plan file %s: %w", path, err), "make one with `slipway plan --out "+path+"`")
	}
	return file, nil
}

func parsePlanFile(text []byte) (PlanFile, error) {
	if len(text) > maxPlanFile {
		return PlanFile{}, fmt.Errorf("more than %d bytes", maxPlanFile)
	}
	var head struct{ Version int }
	if err := json.Unmarshal(text, &head); err != nil {
		return PlanFile{}, err
	}
	if head.Version != PlanFileVersion {
		return PlanFile{}, fmt.Errorf("version %d, want %d", head.Version, PlanFileVersion)
	}
	var f PlanFile
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return PlanFile{}, err
	}
	return f, f.check()
}

// check refuses what no `slipway plan --out` has written.
func (f PlanFile) check() error {
	switch {
	case f.Plan.Version != plan.Version:
		return fmt.Errorf("version %d of the plan in it, want %d", f.Plan.Version, plan.Version)
	case f.Plan.Destroy:
		return errors.New("it holds a teardown, which is not for up")
	case f.Plan.Cluster == "" || len(f.Inputs.Files) == 0:
		return errors.New("it names no cluster or no spec")
	}
	return nil
}

// Confirm returns the confirmation of an `up` that carries out the file at
// path: it asks nobody, and declines any plan but the one in the file, or what
// an interrupted run has left of it. Its error is a [StalePlanError].
func (f PlanFile) Confirm(path string) func(plan.Plan) error {
	return func(now plan.Plan) error {
		moved := plan.Moved(f.Plan, now)
		if moved == nil {
			return nil
		}
		return hint.With(&StalePlanError{Path: path, Moved: moved}, "look at a new plan: `"+f.Inputs.command(path)+"`")
	}
}

// A StalePlanError says why a plan file is no longer good.
type StalePlanError struct {
	Path  string
	Moved []string // what has changed since, the cause first
}

// fewMoved is how many changes an error tells.
const fewMoved = 5

func (e *StalePlanError) Error() string {
	told := e.Moved
	if more := len(told) - 1 - fewMoved; more > 0 {
		told = append(told[:fewMoved+1:fewMoved+1], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("stale plan file %s: %s", e.Path, strings.Join(told, "; "))
}
