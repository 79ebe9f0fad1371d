package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-project/slipway/internal/atomicfile"
	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/spec"
)

// contextOf is the name of a cluster's context in the user's kubeconfig.
func contextOf(c spec.Cluster) string { return "slipway-" + c.Name }

func (a *app) merge(c spec.Cluster, kubeconfig []byte) error {
	path, err := userKubeconfig()
	if err != nil {
		return err
	}
	err = rewrite(path, func(old []byte) ([]byte, error) { return kube.Merge(old, kubeconfig, contextOf(c)) })
	if err == nil {
		_, err = fmt.Fprintf(a.stdout, "%s is the current context of %s\n", contextOf(c), path)
	}
	return err
}

func (a *app) unmerge(c spec.Cluster) error {
	path, err := userKubeconfig()
	if err != nil {
		return err
	}
	said := contextOf(c) + " is not in " + path
	if _, err := os.Stat(path); err == nil { // else there is nothing to write
		err := rewrite(path, func(old []byte) ([]byte, error) {
			rest, found, err := kube.Unmerge(old, contextOf(c))
			if found {
				said = contextOf(c) + " is out of " + path
			}
			return rest, err
		})
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(a.stdout, said)
	return err
}

// remindOfContext says that the context of a cluster that is gone stays where
// --merge put it.
func (a *app) remindOfContext(c spec.Cluster) {
	if path, ok := merged(c); ok {
		fmt.Fprintf(a.stderr, "slipway: hint: context %s stays in %s until `slipway kubeconfig --unmerge` takes it out\n", contextOf(c), path)
	}
}

// merged reports where the cluster's context is in the user's kubeconfig, if
// it is there.
func merged(c spec.Cluster) (path string, ok bool) {
	path, err := userKubeconfig()
	if err != nil {
		return "", false
	}
	data, err := os.ReadFile(path)
	return path, err == nil && kube.HasContext(data, contextOf(c))
}

// userKubeconfig is the file that kubectl writes to. A link stays a link.
func userKubeconfig() (string, error) {
	path := ""
	for _, p := range filepath.SplitList(os.Getenv("KUBECONFIG")) {
		if path == "" {
			path = p
		}
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", hint.With(err, "set KUBECONFIG to the file to merge into")
		}
		path = filepath.Join(home, ".kube", "config")
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	return filepath.Abs(path)
}

// rewrite replaces a kubeconfig at one stroke, while others that keep to
// kubectl's lock (client-go, tools/clientcmd) wait.
func rewrite(path string, change func([]byte) ([]byte, error)) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return hint.With(fmt.Errorf("another program is writing %s", path), "try again; if none is, remove "+path+".lock")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close(), os.Remove(lock.Name())) }()
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	changed, err := change(old)
	if err != nil {
		return placed(path, err)
	}
	return atomicfile.Write(path, changed, 0o600)
}

// placed says where in the file something is wrong.
func placed(path string, err error) error {
	var file *kube.FileError
	if !errors.As(err, &file) {
		return err
	}
	at := path
	if file.Line > 0 {
		at = fmt.Sprintf("%s:%d", path, file.Line)
	}
	return hint.With(fmt.Errorf("%s: %w; it was not changed", at, err), "mend it, or have another file written: KUBECONFIG=FILE slipway kubeconfig --merge")
}
