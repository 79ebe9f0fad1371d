package pve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	maxPost  = 512 << 10 // bytes of a POST or PUT that is no upload
	jsonBool = "JSON::PP::Boolean"
)

// arguments are the parameters of a request. Values that are no plain string
// or number have their Perl kind in nested.
type arguments struct {
	values, nested map[string]string
}

func newArguments() arguments {
	return arguments{map[string]string{}, map[string]string{}}
}

// readArguments reads query and body of a request that is no upload.
func readArguments(r *http.Request) (arguments, error) {
	args := newArguments()
	if r.ContentLength > 0 {
		if err := args.readBody(r); err != nil {
			return args, err
		}
	}
	args.decodeForm(r.URL.RawQuery)
	return args, nil
}

func (a arguments) readBody(r *http.Request) error {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return refuse(http.StatusNotImplemented, "Unexpected content for method '%s'", r.Method)
	}
	if r.ContentLength > maxPost {
		return refuse(http.StatusNotImplemented, "for data too large")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPost))
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/json":
		return a.decodeJSON(body)
	case "", "application/x-www-form-urlencoded":
		a.decodeForm(string(body))
		return nil
	default:
		return refuseContentType(http.StatusVariantAlsoNegotiates, r)
	}
}

// refuseContentType has the server's words (PVE::APIServer::AnyEvent) for a body
// that it cannot read, whose status depends on where it is met.
func refuseContentType(status int, r *http.Request) error {
	return refuse(status, "upload 'Content-Type '%s' not implemented", r.Header.Get("Content-Type"))
}

// decodeForm splits at '&' and ';', and each pair at its first two '=': what
// follows a second one is lost, as on the real server.
func (a arguments) decodeForm(form string) {
	for pair := range strings.FieldsFuncSeq(form, func(r rune) bool { return r == '&' || r == ';' }) {
		parts := strings.Split(pair, "=")
		if len(parts) == 1 {
			continue // a name alone is undefined
		}
		key, value := unescape(parts[0]), unescape(parts[1])
		if _, again := a.values[key]; again {
			a.nested[key] = "ARRAY"
		}
		a.values[key] = value
	}
}

func unescape(s string) string {
	out, err := url.QueryUnescape(s)
	if err != nil {
		return s // Perl leaves what is no escape as it stands
	}
	if !utf8.ValidString(out) {
		return strings.ToValidUTF8(out, "\uFFFD")
	}
	return out
}

func (a arguments) decodeJSON(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return refuse(http.StatusInternalServerError, "malformed JSON: %v", err)
	}
	for key, value := range object {
		a.set(key, value)
	}
	return nil
}

func (a arguments) set(key string, value any) {
	switch v := value.(type) {
	case nil: // undefined
	case bool:
		a.values[key], a.nested[key] = map[bool]string{true: "1", false: "0"}[v], jsonBool
	case []any:
		a.values[key], a.nested[key] = "", "ARRAY"
	case map[string]any:
		a.values[key], a.nested[key] = "", "HASH"
	default:
		a.values[key] = fmt.Sprint(v)
	}
}
