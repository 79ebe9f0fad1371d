package main

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/state"
)

// adviceFor is what to do about an error: its own advice, else that of its
// kind.
func adviceFor(err error) string {
	if advice := provision.Hint(err); advice != "" {
		return advice
	}
	var held *state.HeldError
	var partial *provision.PartialError
	var unreadable *secret.ReadError
	var api *kube.StatusError
	switch {
	case errors.As(err, &held):
		return "wait until that run has ended, or end it by Ctrl-C: what it has begun is gone on with"
	case errors.As(err, &partial):
		return "mend what is named, and run `slipway down` again: it removes what is left"
	case errors.As(err, &unreadable):
		return "the secret block in the spec says where it is to come from"
	case errors.As(err, &api):
		return "`slipway status` says how the cluster is"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room, and run the same command again: what it had done is recorded"
	case errors.Is(err, fs.ErrPermission):
		return "run slipway as the user who owns that file, or choose another place"
	case errors.Is(err, provision.ErrDeclined):
		return "nothing was changed"
	case exitCode(err) == provision.ExitUsage:
		return "`slipway --help` lists the verbs, `slipway VERB --help` their flags"
	case exitCode(err) == provision.ExitSpec:
		return "`slipway validate` checks the spec and contacts nothing"
	}
	return "`slipway doctor` looks for what is wrong around here; `slipway gather` collects what somebody who helps would ask for"
}
