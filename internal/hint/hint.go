// Package hint carries advice beside an error, so that logs stay short and
// people still get help.
package hint

import "errors"

type hinted struct {
	error
	advice string
}

func (h *hinted) Unwrap() error { return h.error }

// With returns err with advice attached: what to do or which command to run
// next, without a full stop. It returns nil when err is nil.
func With(err error, advice string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, advice}
}

// Of returns the advice nearest to the outside of err, or "".
func Of(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.advice
	}
	return ""
}
