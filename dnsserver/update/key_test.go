package update

import (
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/secret"
)

func TestParseKey(t *testing.T) {
	tests := []struct {
		name, in             string
		key, algorithm, file string
		err                  string
	}{
		{"a key with its file", "slipway:hmac-sha256:/etc/bind/slipway.key", "slipway", "hmac-sha256", "/etc/bind/slipway.key", ""},
		{"a file name may have colons", "slipway.:HMAC-SHA512:c:\\key", "slipway.", "hmac-sha512", "c:\\key", ""},
		{"the secret comes from elsewhere", "slipway:hmac-sha256", "slipway", "hmac-sha256", "", ""},
		{"a name alone", "slipway", "", "", "", `"slipway" is not NAME:ALGORITHM:FILE`},
		{"no name", ":hmac-sha256:f", "", "", "", `key name "" is not a domain name`},
		{"MD5 is broken", "slipway:hmac-md5:f", "", "", "", `algorithm "hmac-md5" of key slipway is not one of hmac-sha256, hmac-sha224, hmac-sha384, hmac-sha512, hmac-sha1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, file, err := ParseKey(tt.in)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if diff := cmp.Diff([]string{tt.key, tt.algorithm, tt.file}, []string{k.Name, k.Algorithm, file}); diff != "" || err != nil {
				t.Errorf("%v, -want +got\n%s", err, diff)
			}
		})
	}
}

func TestSecretIsFoundInKeyFiles(t *testing.T) {
	tests := []struct{ name, text, err string }{
		{"alone", testSecret + "\n", ""},
		{"tsig-keygen", "key \"slipway\" {\n\talgorithm hmac-sha256;\n\tsecret \"" + testSecret + "\";\n};\n", ""},
		{"keymgr", "# hmac-sha256:slipway:" + testSecret + "\nkey:\n  - id: slipway\n    algorithm: hmac-sha256\n    secret: " + testSecret + "\n", ""},
		{"nothing", "\n", "it is neither base64 nor a key file"},
		{"a wrong file", "-----BEGIN PRIVATE KEY-----\nabcd\n", "it is neither base64 nor a key file"},
		{"two keys", strings.Repeat("key \"x\" { secret \""+testSecret+"\"; };\n", 2), "it holds several keys, where one is needed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := Key{Name: "slipway", Algorithm: "hmac-sha256", Secret: secret.Of("file k", tt.text)}
			got, err := k.reveal()
			switch {
			case tt.err == "" && (got != testSecret || err != nil):
				t.Errorf("%q, %v", got, err)
			case tt.err != "" && (err == nil || err.Error() != "secret of key slipway from file k: "+tt.err):
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestUnreadableSecretIsSaidSo(t *testing.T) {
	k := Key{Name: "slipway", Algorithm: "hmac-sha256", Secret: secret.New("file k", func() (string, error) { return "", os.ErrPermission })}
	var unread *secret.ReadError
	if _, err := k.reveal(); !errors.As(err, &unread) {
		t.Errorf("error %v", err)
	}
}

func FuzzFindSecret(f *testing.F) {
	f.Add(testSecret)
	f.Add("key \"slipway\" { secret \"" + testSecret + "\"; };")
	f.Add("secret: QUJD")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := findSecret(text)
		if raw, decoding := base64.StdEncoding.DecodeString(found); err == nil && (decoding != nil || len(raw) == 0) {
			t.Errorf("%q has the secret %q", text, found)
		}
		if err != nil && len(text) > 60 && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats %q", text)
		}
	})
}
