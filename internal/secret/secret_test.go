package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

func TestNothingPrintsASecret(t *testing.T) {
	v := Of("test", "hunter2")
	asJSON, err := json.Marshal(map[string]any{"v": v, "p": &v})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	for name, printed := range map[string]string{
		"%v": fmt.Sprintf("%v", v), "%+v": fmt.Sprintf("%+v", struct{ V Value }{v}), "%#v": fmt.Sprintf("%#v", v),
		"%s": fmt.Sprintf("%s", v), "%q": fmt.Sprintf("%q", v), "%x": fmt.Sprintf("%x", v), "pointer": fmt.Sprint(&v),
		"json": string(asJSON), "slog": log.String(), "cty": ToCty(v).GoString(),
	} {
		if strings.Contains(printed, "hunter2") || strings.Contains(printed, "68756e74") {
			t.Errorf("%s prints %s", name, printed)
		}
	}
}

func TestFromCty(t *testing.T) {
	secret, ok := FromCty(ToCty(Of("test", "hunter2")))
	if got, err := secret.Reveal(); !ok || err != nil || got != "hunter2" {
		t.Errorf("Reveal = %q, %v, %v", got, ok, err)
	}
	if v, ok := FromCty(cty.NullVal(Type)); !ok || v.Set() {
		t.Error("null is not the absent secret")
	}
	if _, ok := FromCty(cty.StringVal("hunter2")); ok {
		t.Error("a literal string passed for a secret")
	}
}

func TestReadErrorNamesTheSource(t *testing.T) {
	_, err := New("file token", func() (string, error) { return "half", errors.New("permission denied") }).Reveal()
	var read *ReadError
	if !errors.As(err, &read) || err.Error() != "read secret from file token: permission denied" {
		t.Errorf("error %v", err)
	}
}
