// Package secret holds values that must never be printed: tokens, pull
// secrets, keys, passwords.
//
// A [Value] knows where its secret comes from and reads it only when
// [Value.Reveal] is called, so that validate and plan need no secret at all.
// Every way of formatting or marshalling one prints "(redacted)". In HCL it
// travels as a cty capsule of [Type], which cannot be interpolated; decode it
// into a cty.Value field and take it out with [FromCty] (capsules panic when
// gohcl decodes them into a typed Go field).
package secret

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"

	"github.com/zclconf/go-cty/cty"
)

const redacted = "(redacted)"

// A Value is a secret that is read when it is needed. The zero Value is
// absent. Values are immutable and safe for concurrent use if their read
// function is.
type Value struct {
	origin string
	read   func() (string, error)
}

// New returns a Value that read will reveal. origin names the source for
// people ("environment variable PVE_TOKEN", "file ~/.pull-secret.json").
func New(origin string, read func() (string, error)) Value { return Value{origin, read} }

// Of returns a Value that holds s.
func Of(origin, s string) Value {
	return New(origin, func() (string, error) { return s, nil })
}

// Set reports whether the value has a source at all.
func (v Value) Set() bool { return v.read != nil }

// Origin names the source, never the secret.
func (v Value) Origin() string { return v.origin }

// Reveal reads the secret. The absent Value reveals "". An error is a
// [ReadError].
func (v Value) Reveal() (string, error) {
	if v.read == nil {
		return "", nil
	}
	s, err := v.read()
	if err != nil {
		return "", &ReadError{v.origin, err}
	}
	return s, nil
}

// A ReadError says that a secret's source could not be read.
type ReadError struct {
	Origin string
	Err    error
}

func (e *ReadError) Error() string { return fmt.Sprintf("read secret from %s: %v", e.Origin, e.Err) }
func (e *ReadError) Unwrap() error { return e.Err }

// String, GoString, Format, MarshalJSON, MarshalText and LogValue all print
// "(redacted)".
func (Value) String() string               { return redacted }
func (Value) GoString() string             { return redacted }
func (Value) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Value) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Value) LogValue() slog.Value         { return slog.StringValue(redacted) }

// Type is the cty capsule type of secrets.
var Type = cty.Capsule("secret", reflect.TypeFor[Value]())

// ToCty wraps v for an HCL evaluation context.
func ToCty(v Value) cty.Value { return cty.CapsuleVal(Type, &v) }

// FromCty takes a secret out of an HCL value. ok is false when c is not a
// secret (a literal string, say); a null c is the absent Value.
func FromCty(c cty.Value) (v Value, ok bool) {
	if c == cty.NilVal || c.IsNull() {
		return Value{}, true
	}
	if !c.IsKnown() || !c.Type().Equals(Type) {
		return Value{}, false
	}
	return *(c.EncapsulatedValue().(*Value)), true
}
