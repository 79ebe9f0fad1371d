package provision

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	redacted     = "(redacted)"
	shortSecret  = 4  // shorter ones would redact half of every text
	shortPart    = 8  // of parts and of encoded forms, likewise
	encodedTwice = 2  // JSON in JSON, as logs have it
	pemLine      = 40 // a line of a key that is its own
)

// Secrets that have a form of their own, whoever's they are.
var shapes = []*regexp.Regexp{
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----`),
	regexp.MustCompile(`(PVEAPIToken=[^=\s]+=)[0-9A-Za-z-]+`),
	regexp.MustCompile(`(?i)(\b(?:bearer|basic) )[0-9A-Za-z._~+/=-]{8,}`),
	regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*`), // RFC 7519
	regexp.MustCompile(`(\\*"auth\\*"\s*:\s*\\*")[^"\\]+`),                          // pull secrets
	regexp.MustCompile(`((?:client-key-data|password)\\*["']?\s*[:=]\s*\\*["']?)[^\s"'\\,}]+`),
}

// A redactor takes secrets out of texts, in every form in which programs write
// them: as they are, in base64 at any place of a longer text, in URLs, in JSON.
type redactor struct{ forms map[string]bool }

func newRedactor() *redactor { return &redactor{map[string]bool{}} }

// add makes known a secret, and the parts of it that are secret by
// themselves: the values of a pull secret, the lines of a key, what stands
// behind the name in a token.
func (r *redactor) add(secret string) {
	secret = strings.TrimSpace(secret)
	if len(secret) < shortSecret {
		return
	}
	r.encode(secret)
	for _, part := range slices.Concat(jsonParts(secret), lineParts(secret), tokenParts(secret)) {
		if len(part) >= shortPart {
			r.encode(part)
		}
	}
}

func (r *redactor) encode(secret string) {
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		r.forms[form] = true
	}
	for _, html := range []bool{true, false} {
		quoted := secret
		for range encodedTwice {
			quoted = quote(quoted, html)
			r.forms[quoted] = true
		}
	}
	for shift := range 3 {
		core := base64At(secret, shift)
		if len(core) >= shortPart {
			r.forms[core] = true
			r.forms[strings.NewReplacer("+", "-", "/", "_").Replace(core)] = true
		}
	}
}

// quote is s inside a JSON string.
func quote(s string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	_ = enc.Encode(s) // a string can always be
	return strings.Trim(strings.TrimSpace(b.String()), `"`)
}

// base64At is the part of the base64 of a text that is the same whatever
// stands before the secret, when that is shift bytes more than a multiple of
// three, and behind it.
func base64At(secret string, shift int) string {
	encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), secret...))
	whole := (shift + len(secret)) * 8 / 6
	return encoded[min((shift*8+5)/6, whole):whole]
}

// jsonParts are the strings in a JSON document, and what they hold in base64:
// "user:password" in pull secrets.
func jsonParts(secret string) (parts []string) {
	var doc any
	if json.Unmarshal([]byte(secret), &doc) != nil {
		return nil
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if key != "email" {
					walk(value)
				}
			}
		case []any:
			for _, value := range v {
				walk(value)
			}
		case string:
			parts = append(parts, v)
			if plain, err := base64.StdEncoding.DecodeString(v); err == nil {
				parts = append(parts, tokenParts(string(plain))...)
			}
		}
	}
	walk(doc)
	return parts
}

// secretKeys are the lines of a kubeconfig that are secret.
var secretKeys = regexp.MustCompile(`(?m)^\s*(?:- )?(?:client-key-data|token|password):\s*["']?([^\s"']+)`)

// lineParts are the lines of a PEM key, and the secret values of a kubeconfig
// with the keys that they hold.
func lineParts(secret string) (parts []string) {
	for line := range strings.Lines(secret) {
		line = strings.TrimSpace(line)
		if len(line) >= pemLine && !strings.ContainsAny(line, " :{") {
			parts = append(parts, line)
		}
	}
	for _, m := range secretKeys.FindAllStringSubmatch(secret, -1) {
		parts = append(parts, m[1])
		if plain, err := base64.StdEncoding.DecodeString(m[1]); err == nil {
			parts = append(parts, lineParts(string(plain))...)
		}
	}
	return parts
}

// tokenParts is what stands behind the name: user@realm!id=SECRET,
// user:SECRET.
func tokenParts(secret string) []string {
	if strings.ContainsAny(secret, "\n {") {
		return nil
	}
	if i := strings.IndexAny(secret, "=:"); i > 0 {
		return []string{secret[i+1:]}
	}
	return nil
}

// redact takes all secrets out of a text.
func (r *redactor) redact(text []byte) []byte {
	longest := make([]string, 0, len(r.forms))
	for form := range r.forms {
		longest = append(longest, form)
	}
	slices.SortFunc(longest, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, form := range longest {
		pairs = append(pairs, form, redacted)
	}
	out := strings.NewReplacer(pairs...).Replace(string(text))
	for _, shape := range shapes {
		keep := ""
		if shape.NumSubexp() > 0 {
			keep = "${1}"
		}
		out = shape.ReplaceAllString(out, keep+redacted)
	}
	return []byte(out)
}
