package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/slipway-project/slipway/internal/view"
)

// version is set by the Makefile: -ldflags "-X main.version=…".
var version = "devel"

// A build is which slipway this is.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // the commit, when the toolchain recorded it
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func newVersion(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.version() },
	}
	a.outputFlag(cmd, "table, json")
	return cmd
}

func (a *app) version() error {
	json, err := a.json()
	if err != nil {
		return err
	}
	b := build{version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
	if json {
		return view.JSON(a.stdout, b)
	}
	if len(b.Revision) > 12 {
		b.Version += " " + b.Revision[:12]
	}
	_, err = fmt.Fprintf(a.stdout, "slipway %s (%s, %s/%s)\n", b.Version, b.Go, b.OS, b.Arch)
	return err
}

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
