package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// An ignition is an Ignition configuration, specification 3.1 and newer, as
// far as images of this package use it.
type ignition struct {
	Ignition ignitionVersion `json:"ignition"`
	Passwd   passwd          `json:"passwd,omitzero"`
	Storage  storage         `json:"storage,omitzero"`
}

type ignitionVersion struct {
	Version string `json:"version"`
}

type passwd struct {
	Users []user `json:"users,omitempty"`
}

type user struct {
	Name string   `json:"name"`
	Keys []string `json:"sshAuthorizedKeys,omitempty"`
}

type storage struct {
	Files []file `json:"files,omitempty"`
}

type file struct {
	Path      string   `json:"path"`
	Mode      int      `json:"mode"`
	Overwrite bool     `json:"overwrite,omitempty"`
	Contents  contents `json:"contents"`
}

type contents struct {
	Source string `json:"source"`
}

const dataURL = "data:;base64,"

func newFile(path string, mode int, data []byte) file {
	return file{Path: path, Mode: mode, Overwrite: true,
		Contents: contents{dataURL + base64.StdEncoding.EncodeToString(data)}}
}

// data decodes the file's RFC 2397 URL.
func (f file) data() ([]byte, error) {
	head, body, ok := strings.Cut(f.Contents.Source, ",")
	if !ok || !strings.HasPrefix(head, "data:") || !strings.HasSuffix(head, ";base64") {
		return nil, fmt.Errorf("%s: source is not a base64 data URL", f.Path)
	}
	data, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return data, nil
}

var errVersion = errors.New("not an Ignition 3 configuration")

func (i ignition) check() error {
	if !strings.HasPrefix(i.Ignition.Version, "3.") {
		return fmt.Errorf("%w: version %q", errVersion, i.Ignition.Version)
	}
	return nil
}

// read returns the content of the file at path; ok is false without one.
func (i ignition) read(path string) (data []byte, ok bool, err error) {
	for _, f := range i.Storage.Files {
		if f.Path == path {
			data, err := f.data()
			return data, true, err
		}
	}
	return nil, false, nil
}

// keys are the authorized keys of user core.
func (i ignition) keys() []string {
	for _, u := range i.Passwd.Users {
		if u.Name == coreUser {
			return u.Keys
		}
	}
	return nil
}

// coreUser is the only user of CoreOS that can log in.
const coreUser = "core"
