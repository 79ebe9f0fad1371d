// Package atomicfile replaces files so that a reader, a crash or a full disk
// meets either the old content or the new, never a part.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Write replaces the file at path with data and mode: temporary file in the
// same directory, fsync, rename, fsync of the directory. On any error the old
// file is untouched and the temporary file is gone; that of a process which is
// killed meanwhile is left to [Sweep].
func Write(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, pattern(path, os.Getpid()))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := fill(f, data, mode); err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return SyncDir(dir)
}

// pattern names the temporary files of a process for path; a random number
// takes the place of the star.
func pattern(path string, pid int) string { return fmt.Sprintf(".%s.%d.*", filepath.Base(path), pid) }

type file interface {
	io.WriteCloser
	Chmod(os.FileMode) error
	Sync() error
}

func fill(f file, data []byte, mode os.FileMode) error {
	defer f.Close()
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// Sweep removes from directories what processes that are no more were writing
// when they were killed. A directory that is not there has nothing to remove.
func Sweep(dirs ...string) {
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if orphaned(e.Name()) {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// orphaned reports whether name is that of a temporary file, ".BASE.PID.RANDOM",
// whose process is gone.
func orphaned(name string) bool {
	words := strings.Split(name, ".")
	if len(words) < 4 || words[0] != "" {
		return false
	}
	pid, err := strconv.Atoi(words[len(words)-2])
	if _, random := strconv.Atoi(words[len(words)-1]); err != nil || random != nil || pid <= 0 {
		return false
	}
	process, err := os.FindProcess(pid)
	return err != nil || errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// SyncDir makes renames and creations in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
