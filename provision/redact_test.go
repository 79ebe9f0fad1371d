package provision

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

const pemKey = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANA
-----END OPENSSH PRIVATE KEY-----
`

// The secrets of a cluster, each with the part that must not be seen.
var canaries = map[string]struct{ secret, part string }{
	"a token":       {"slipway@pve!ci=3f1c2ab4-9d5e-4a5b-8c7d-0123456789ab", "3f1c2ab4-9d5e-4a5b-8c7d-0123456789ab"},
	"a pull secret": {`{"auths":{"quay.example":{"auth":"dXNlcjpwYXNzPDw+Pndvcmq=","email":"me@example"}}}`, "dXNlcjpwYXNzPDw+Pndvcmq="},
	"a password":    {"AbCdE-fGh12-345kl-&<mno>", "AbCdE-fGh12-345kl-&<mno>"},
	"a key":         {pemKey, "QyNTUxOQAAACCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANA"},
	"a kubeconfig":  {"users:\n- name: admin\n  user:\n    client-key-data: " + base64.StdEncoding.EncodeToString([]byte(pemKey)) + "\n    token: sha256~abcdefgh1234\n", "sha256~abcdefgh1234"},
}

func TestRedactorKnowsEveryForm(t *testing.T) {
	r := newRedactor()
	for _, c := range canaries {
		r.add(c.secret)
	}
	for name, c := range canaries {
		for form, text := range forms(c.part) {
			got := string(r.redact([]byte("before " + text + " after")))
			if strings.Contains(got, text) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("%s, %s: %q", name, form, got)
			}
		}
		for _, before := range []string{"", "x", "xy", "core:"} { // a header of HTTP's basic authentication, say
			inner := base64.StdEncoding.EncodeToString([]byte(before + c.part + "yz"))
			got := string(r.redact([]byte(inner)))
			if plain, err := base64.StdEncoding.DecodeString(got); err == nil && strings.Contains(string(plain), c.part) || got == inner {
				t.Errorf("%s in base64 behind %q: %q", name, before, got)
			}
		}
	}
}

// forms are the ways in which programs write a text.
func forms(s string) map[string]string {
	once, _ := json.Marshal(s)
	twice, _ := json.Marshal(string(once))
	return map[string]string{
		"as it is": s, "in a query": url.QueryEscape(s), "in a path": url.PathEscape(s),
		"in JSON": strings.Trim(string(once), `"`), "in JSON in JSON": strings.Trim(string(twice), `"\`),
		"in base64": base64.StdEncoding.EncodeToString([]byte(s)), "in URL base64": base64.RawURLEncoding.EncodeToString([]byte(s)),
	}
}

func TestRedactorKnowsShapesOfForeignSecrets(t *testing.T) {
	r := newRedactor()
	for text, want := range map[string]string{
		"Authorization: PVEAPIToken=a@pve!b=0000-11":            "Authorization: PVEAPIToken=a@pve!b=(redacted)",
		"authorization: Bearer abcdefgh.ijkl":                   "authorization: Bearer (redacted)",
		`{"quay.example":{"auth":"Zm9vOmJhcg=="}}`:              `{"quay.example":{"auth":"(redacted)"}}`,
		`"{\"auth\":\"Zm9vOmJhcg==\"}"`:                         `"{\"auth\":\"(redacted)\"}"`,
		"password: hunter2 next":                                "password: (redacted) next",
		"key:\n" + pemKey + "end":                               "key:\n(redacted)\nend",
		fmt.Sprintf("%q", pemKey):                               `"(redacted)\n"`,
		"jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl": "jwt (redacted)",
		"secret \"pull-secret\" not found":                      "secret \"pull-secret\" not found",
	} {
		if got := string(r.redact([]byte(text))); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestRedactorLeavesShortWordsAlone(t *testing.T) {
	r := newRedactor()
	r.add("")
	r.add("abc")
	r.add("user:pw")
	if got := string(r.redact([]byte("abc pw"))); got != "abc pw" {
		t.Errorf("became %q", got)
	}
}

// FuzzRedact: what was made known is not there afterwards.
func FuzzRedact(f *testing.F) {
	f.Add("s3cr3t-t0ken", "before ", " after")
	f.Add("a\"b\\c\n", "{\"x\":\"", "\"}")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		secret = strings.TrimSpace(secret)
		if len(secret) < shortSecret || strings.Contains(redacted, secret) {
			return // it is not taken for a secret
		}
		r := newRedactor()
		r.add(secret)
		if got := string(r.redact([]byte(before + secret + after))); strings.Contains(strings.ReplaceAll(got, redacted, "\x00"), secret) {
			t.Errorf("%q is still in %q", secret, got)
		}
	})
}
