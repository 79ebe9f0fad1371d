package node

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// A statusError is a failure as the Kubernetes API answers it (meta/v1
// Status).
type statusError struct {
	Kind       string         `json:"kind"`
	APIVersion string         `json:"apiVersion"`
	Metadata   struct{}       `json:"metadata"`
	Status     string         `json:"status"`
	Message    string         `json:"message"`
	Reason     string         `json:"reason"`
	Details    *statusDetails `json:"details,omitempty"`
	Code       int            `json:"code"`
}

type statusDetails struct {
	Name  string `json:"name,omitempty"`
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind,omitempty"`
}

func (e *statusError) Error() string { return e.Message }

func failure(code int, reason, format string, args ...any) *statusError {
	return &statusError{Kind: "Status", APIVersion: "v1", Status: "Failure", Message: fmt.Sprintf(format, args...), Reason: reason, Code: code}
}

func (e *statusError) about(r *resource, name string) *statusError {
	e.Details = &statusDetails{name, r.group, r.plural}
	return e
}

func notFound(r *resource, name string) error {
	return failure(http.StatusNotFound, "NotFound", "%s %q not found", r.qualified(), name).about(r, name)
}

func alreadyExists(r *resource, name string) error {
	return failure(http.StatusConflict, "AlreadyExists", "%s %q already exists", r.qualified(), name).about(r, name)
}

func conflict(r *resource, name string) error {
	return failure(http.StatusConflict, "Conflict", "Operation cannot be fulfilled on %s %q: the object has been modified; please apply your changes to the latest version and try again", r.qualified(), name).about(r, name)
}

func invalid(r *resource, name, format string, args ...any) error {
	return failure(http.StatusUnprocessableEntity, "Invalid", "%s %q is invalid: %s", r.kind, name, fmt.Sprintf(format, args...)).about(r, name)
}

func badRequest(format string, args ...any) error {
	return failure(http.StatusBadRequest, "BadRequest", format, args...)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	w.Write(append(data, '\n'))
}
