package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
)

// Files says which files the arguments of -f mean, seen from dir: a file, "-"
// for standard input, or a directory for all *.hcl and *.hcl.json in it except
// *.override.hcl. Without arguments it is cluster.hcl, else the single
// *.slipway.hcl. Errors carry a hint.
func Files(args []string, dir string) ([]string, error) {
	if len(args) == 0 {
		return defaultFiles(dir)
	}
	var files []string
	for _, arg := range args {
		more, err := expand(arg, dir)
		if err != nil {
			return nil, hint.With(fmt.Errorf("find cluster spec: %w", err), startHint)
		}
		files = append(files, more...)
	}
	return files, nil
}

const startHint = "`slipway init` writes a cluster.hcl to start from; -f FILE names another file"

func defaultFiles(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "cluster.hcl")); err == nil {
		return []string{"cluster.hcl"}, nil
	}
	found, err := filesIn(dir, "", ".slipway.hcl")
	switch {
	case err != nil:
		return nil, fmt.Errorf("find cluster spec: %w", err)
	case len(found) == 0:
		return nil, hint.With(errors.New("no cluster.hcl and no *.slipway.hcl here"), startHint)
	case len(found) > 1:
		return nil, hint.With(fmt.Errorf("several specs here: %s", strings.Join(found, ", ")), "choose one with -f FILE")
	}
	return found, nil
}

func expand(arg, dir string) ([]string, error) {
	if arg == "-" {
		return []string{arg}, nil
	}
	path := within(dir, arg)
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{arg}, err
	}
	found, err := filesIn(path, arg, ".hcl", ".hcl.json")
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no *.hcl in %s", arg)
	}
	return found, err
}

// filesIn lists the files in dir that have one of the endings, in name order,
// as prefix/name.
func filesIn(dir, prefix string, endings ...string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		if !entry.IsDir() && endsIn(entry.Name(), endings) && !endsIn(entry.Name(), []string{".override.hcl", ".override.hcl.json"}) {
			found = append(found, filepath.Join(prefix, entry.Name()))
		}
	}
	return found, nil
}

func endsIn(name string, endings []string) bool {
	for _, ending := range endings {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}

// within resolves path, which may be absolute, against dir.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
