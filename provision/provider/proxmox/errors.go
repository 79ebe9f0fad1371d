package proxmox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pve "github.com/Telmate/proxmox-api-go/proxmox"

	"github.com/slipway-project/slipway/internal/hint"
)

// Kind is what a refusal means, whatever its status and words are. It is an
// error itself, to be used with errors.Is.
type Kind string

// The kinds of refusals; Other is everything that nothing here acts on.
const (
	Other          Kind = "refused"
	Exists         Kind = "already exists"
	NotFound       Kind = "not found"
	Locked         Kind = "locked by another operation"
	LockTimeout    Kind = "lock not got in time"
	Forbidden      Kind = "forbidden"
	Unauthorized   Kind = "not authorized"
	ParamInvalid   Kind = "parameter invalid"
	AlreadyRunning Kind = "already running"
	NotRunning     Kind = "not running"
	Protected      Kind = "protected from removal"
	NoQuorum       Kind = "cluster without quorum"
	Unavailable    Kind = "node unavailable" // the API answers, the node behind it does not
	Unreachable    Kind = "unreachable"      // no answer: the call may have been carried out
)

// Error returns the kind in words.
func (k Kind) Error() string { return string(k) }

// An Error is a refusal by the API, or an answer that never came.
type Error struct {
	Kind       Kind
	Method     string            // GET
	Path       string            // /nodes/pve/qemu, without query
	Status     int               // HTTP status; 0 when there was no answer
	Text       string            // the server's own words on one line
	Object     string            // of Forbidden: the path of the missing rights
	Privileges []string          // of Forbidden: any of these would have done
	Params     map[string]string // of ParamInvalid: parameter to complaint
	cause      error
}

// Error returns the call and the server's words, never what was sent.
func (e *Error) Error() string {
	text := e.Text
	for _, name := range slices.Sorted(maps.Keys(e.Params)) {
		text += fmt.Sprintf(" %s: %s", name, oneLine(e.Params[name]))
	}
	if e.Method == "" {
		return text
	}
	return e.Method + " " + e.Path + ": " + text
}

// Unwrap returns what stood in the way of an answer.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is e's kind.
func (e *Error) Is(target error) bool { return target == error(e.Kind) }

// Transient reports whether the same call may succeed a little later.
func (e *Error) Transient() bool {
	switch e.Kind {
	case Unavailable, LockTimeout:
		return true
	case Unreachable:
		return !untrusted(e.cause)
	}
	return false
}

// meanings tells kinds by PVE's words; the first match counts.
var meanings = []struct {
	kind Kind
	text *regexp.Regexp
}{
	{LockTimeout, regexp.MustCompile(`can't lock file '.*' - got timeout|got lock (request )?timeout`)},
	{Locked, regexp.MustCompile(`(VM|CT|guest) (\d+ )?is locked`)},
	{AlreadyRunning, regexp.MustCompile(`VM \d+ already running`)},
	{NotRunning, regexp.MustCompile(`VM \d+ (is )?not running`)},
	{Protected, regexp.MustCompile(`protection mode enabled`)},
	{NoQuorum, regexp.MustCompile(`no quorum`)},
	{Exists, regexp.MustCompile(`(VM|CT) \d+ already exists|config file already exists`)},
	{NotFound, regexp.MustCompile(`Configuration file '[^']*' does not exist`)},
	{Forbidden, regexp.MustCompile(`Permission check failed`)},
	{Unavailable, regexp.MustCompile(`hostname lookup '[^']*' failed`)},
}

var statusKinds = map[int]Kind{
	http.StatusUnauthorized: Unauthorized, http.StatusForbidden: Forbidden,
	http.StatusBadGateway: Unavailable, http.StatusServiceUnavailable: Unavailable,
	http.StatusGatewayTimeout: Unavailable, 595: Unavailable, 596: Unavailable, 599: Unavailable,
}

func kindOf(status int, text string, params map[string]string) Kind {
	if kind, ok := statusKinds[status]; ok {
		return kind
	}
	if status == http.StatusBadRequest && len(params) > 0 {
		return ParamInvalid
	}
	for _, m := range meanings {
		if m.text.MatchString(text) {
			return m.kind
		}
	}
	return Other
}

var forbiddenParts = regexp.MustCompile(`Permission check failed \((/[^,\s]*), ([^)]+)\)`)

// newError classifies a refusal. status is 0 for the text of a failed task.
func newError(status int, text string, params map[string]string) *Error {
	e := &Error{Kind: kindOf(status, text, params), Status: status, Text: oneLine(text), Params: params}
	if m := forbiddenParts.FindStringSubmatch(text); m != nil && e.Kind == Forbidden {
		e.Object, e.Privileges = m[1], strings.Split(m[2], "|")
	}
	return e
}

// refused turns what proxmox-api-go returned into an Error.
func refused(method, path string, err error) error {
	var api *pve.ApiError
	if err == nil || !errors.As(err, &api) {
		return err
	}
	status, _ := strconv.Atoi(api.Code)
	e := newError(status, api.Message, complaints(api.Errors))
	e.Method, e.Path = method, path
	return advised(e, e)
}

func complaints(raw map[string]any) map[string]string {
	if len(raw) == 0 {
		return nil
	}
	params := make(map[string]string, len(raw))
	for name, text := range raw {
		params[name] = fmt.Sprint(text)
	}
	return params
}

var advice = map[Kind]string{
	Unauthorized: "make a token with `pveum user token add USER@REALM slipway` and give it as USER@REALM!slipway=UUID",
	Locked:       "wait for the backup, migration or snapshot that holds the machine, or look at the tasks of the node",
	LockTimeout:  "the node or its storage is busy; run the command again when it is quieter",
	Protected:    "somebody protected the machine; if it is to go: qm set VMID --protection 0",
	NoQuorum:     "fewer than half of the nodes are there; see `pvecm status`",
	Unavailable:  "the node behind the endpoint does not answer; see `pvecm status` there",
}

// advised attaches to err, which is e or ends in it, what to do about it.
func advised(err error, e *Error) error {
	if e.Kind == Forbidden && e.Object != "" {
		return hint.With(err, fmt.Sprintf("give the token and its user %s on %s",
			strings.Join(e.Privileges, " or "), e.Object))
	}
	if advice[e.Kind] == "" {
		return err
	}
	return hint.With(err, advice[e.Kind])
}

// lost reports whether the call behind err may have been carried out.
func lost(err error) bool {
	return errors.Is(err, Unreachable) || errors.Is(err, Unavailable)
}

// passing reports whether err may go away while one waits for a task: workers
// are recycled, proxies restart, a node is busy.
func passing(err error) bool {
	var refusal *Error
	if !errors.As(err, &refusal) || errors.Is(err, context.Canceled) {
		return false
	}
	return lost(err) || refusal.Status >= http.StatusInternalServerError
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
