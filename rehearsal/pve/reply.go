package pve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// A failure is an error as the API reports it: a status, a message that is
// also the reason phrase, and for 400 the parameters at fault.
type failure struct {
	status int
	msg    string
	params map[string]string
	bare   bool // from the HTTP layer: no body, the reason phrase is all
	html   bool // from a proxy in front: a page instead of JSON
}

// Error is the text as a failed task records it: with the code in front
// unless it is a plain 500.
func (f *failure) Error() string {
	text := strings.TrimSuffix(f.msg, "\n")
	if f.status != http.StatusInternalServerError {
		text = fmt.Sprintf("%d %s", f.status, text)
	}
	return text
}

// die is what Perl's die with a newline becomes.
func die(format string, args ...any) *failure {
	return &failure{status: http.StatusInternalServerError, msg: fmt.Sprintf(format, args...) + "\n"}
}

func refuse(status int, format string, args ...any) *failure {
	return &failure{status: status, msg: fmt.Sprintf(format, args...), bare: true}
}

func badParams(errors map[string]string) *failure {
	return &failure{status: http.StatusBadRequest, msg: "Parameter verification failed.\n", params: errors}
}

func badParam(name, text string) *failure { return badParams(map[string]string{name: text}) }

// forbidden is the refusal for lack of a privilege; what may be "".
func forbidden(what string) *failure {
	msg := "Permission check failed"
	if what != "" {
		msg += " (" + what + ")"
	}
	return &failure{status: http.StatusForbidden, msg: msg + "\n"}
}

type envelope struct {
	Data    any               `json:"data"`
	Message string            `json:"message,omitempty"`
	Errors  map[string]string `json:"errors,omitempty"`
	Total   *int              `json:"total,omitempty"`
}

// counted is an answer that carries a total beside its data.
type counted struct {
	data  any
	total int
}

func writeData(w http.ResponseWriter, data any) {
	body := envelope{Data: data}
	if c, ok := data.(counted); ok {
		body.Data, body.Total = c.data, &c.total
	}
	writeJSON(w, http.StatusOK, body)
}

func (s *Server) writeFailure(w http.ResponseWriter, r *http.Request, f *failure) {
	reason, _, _ := strings.Cut(f.msg, "\n")
	setReason(r, reason)
	if f.html {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.status)
		fmt.Fprintf(w, "<html><body><h1>%d %s</h1></body></html>\n", f.status, reason)
		return
	}
	if f.bare {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(f.status)
		return
	}
	body := envelope{Message: f.msg, Errors: f.params}
	if _, old := s.strike(Fault{Kind: MessageInReason}); old || s.release.before(8, 4) { // libpve-http-server 5.2.0 put it into the body
		body.Message = ""
	}
	writeJSON(w, f.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body envelope) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // answers are built of plain values only
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "max-age=0")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(status)
	w.Write(text)
}
