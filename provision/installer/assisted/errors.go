package assisted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// textLimit is the most bytes of the service's words that an error shows.
const textLimit = 300

// An Error is a refusal by the service.
type Error struct {
	Method  string // GET
	Path    string // /clusters/..., without query
	Status  int    // HTTP status
	Text    string // the service's words on one line, at most 300 bytes
	Failing []Row  // validations named in the refusal, those that failed
}

// A Row is one result of a validation.
type Row struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Error returns the call and the service's words, never what was sent.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %d: %s", e.Method, e.Path, e.Status, e.Text)
}

// refusal reads either body that the service answers with. A 409 to an
// installation carries every validation of the cluster in its words.
func refusal(c call, status int, body []byte) *Error {
	words, rows := explain(said(body))
	path, _, _ := strings.Cut(c.path, "?")
	for _, r := range rows {
		words += fmt.Sprintf("; %s: %s", r.ID, r.Message)
	}
	if words = strings.TrimLeft(words, "; "); words == "" {
		words = http.StatusText(status)
	}
	return &Error{c.method, path, status, shorten(hide(words, c.secret)), rows}
}

// said takes the words out of {"reason"} or {"message"}; anything else, such
// as a proxy's HTML, says nothing worth repeating.
func said(body []byte) string {
	var parsed struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &parsed) != nil {
		return ""
	}
	if parsed.Reason != "" {
		return parsed.Reason
	}
	return parsed.Message
}

// explain cuts validations, which are JSON, out of words and returns the rows
// that failed.
func explain(words string) (string, []Row) {
	start := strings.Index(words, "{")
	if start < 0 {
		return words, nil
	}
	rows, err := failures(words[start:])
	if err != nil {
		return words, nil
	}
	lead := strings.TrimSpace(words[:start])
	lead = strings.TrimSpace(strings.TrimSuffix(lead, "validation_info="))
	return strings.TrimRight(lead, ",:"), rows
}

// failures lists the failed rows of validations_info, by id. Text after the
// document is ignored.
func failures(validations string) ([]Row, error) {
	if validations == "" {
		return nil, nil
	}
	var categories map[string][]Row
	if err := json.NewDecoder(strings.NewReader(validations)).Decode(&categories); err != nil {
		return nil, err
	}
	var failed []Row
	for _, rows := range categories {
		for _, r := range rows {
			if r.Status == "failure" {
				failed = append(failed, r)
			}
		}
	}
	slices.SortFunc(failed, func(a, b Row) int {
		return strings.Compare(a.ID+"\x00"+a.Message, b.ID+"\x00"+b.Message)
	})
	return failed, nil
}

// shorten makes one line of at most textLimit bytes.
func shorten(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) <= textLimit {
		return s
	}
	cut := textLimit - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// hide replaces secrets, whole and as they stand inside JSON strings.
func hide(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		quoted, _ := json.Marshal(secret) // strings only
		s = strings.ReplaceAll(s, strings.Trim(string(quoted), `"`), "(redacted)")
		s = strings.ReplaceAll(s, secret, "(redacted)")
	}
	return s
}

// redacted is err with its text free of secrets; what it wraps stays.
func redacted(err error, secrets []string) error {
	if text := err.Error(); hide(text, secrets) != text {
		return errors.New(hide(text, secrets))
	}
	return err
}

// is reports whether err is a refusal with one of statuses.
func is(err error, statuses ...int) bool {
	var refused *Error
	return errors.As(err, &refused) && slices.Contains(statuses, refused.Status)
}

// Transient reports whether the service is out of order rather than unwilling.
func (e *Error) Transient() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests
}

// worthRepeating reports whether a GET is to be repeated at once. Where nobody
// listens it is not: a caller that waits asks again itself.
func worthRepeating(err error) bool {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return false
	}
	var passing interface{ Transient() bool }
	return errors.As(err, &passing) && passing.Transient() && !errors.Is(err, context.Canceled)
}
