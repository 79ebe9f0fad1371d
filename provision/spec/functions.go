package spec

import (
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/slipway-project/slipway/internal/secret"
)

const maxFile = 1 << 20 // bytes of a file that a spec may read

// functions is what expressions may call. All are pure but file, which reads
// below dir only.
func functions(dir string) map[string]function.Function {
	return map[string]function.Function{
		"can":         tryfunc.CanFunc,
		"ceil":        stdlib.CeilFunc,
		"cidrhost":    cidrHost,
		"cidrnetmask": cidrNetmask,
		"cidrsubnet":  cidrSubnet,
		"concat":      stdlib.ConcatFunc,
		"contains":    stdlib.ContainsFunc,
		"distinct":    stdlib.DistinctFunc,
		"file":        fileBelow(dir),
		"flatten":     stdlib.FlattenFunc,
		"floor":       stdlib.FloorFunc,
		"format":      withoutSecrets(stdlib.FormatFunc, narrow),
		"formatlist":  withoutSecrets(stdlib.FormatListFunc, narrow),
		"join":        stdlib.JoinFunc,
		"jsondecode":  stdlib.JSONDecodeFunc,
		"jsonencode":  withoutSecrets(stdlib.JSONEncodeFunc),
		"keys":        stdlib.KeysFunc,
		"length":      stdlib.LengthFunc,
		"lookup":      stdlib.LookupFunc,
		"lower":       stdlib.LowerFunc,
		"max":         stdlib.MaxFunc,
		"merge":       stdlib.MergeFunc,
		"min":         stdlib.MinFunc,
		"range":       stdlib.RangeFunc,
		"regex":       stdlib.RegexFunc,
		"replace":     stdlib.ReplaceFunc,
		"sort":        stdlib.SortFunc,
		"split":       stdlib.SplitFunc,
		"tolist":      stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
		"tomap":       stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
		"tonumber":    stdlib.MakeToFunc(cty.Number),
		"toset":       stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"tostring":    stdlib.MakeToFunc(cty.String),
		"trimspace":   stdlib.TrimSpaceFunc,
		"try":         tryfunc.TryFunc,
		"upper":       stdlib.UpperFunc,
		"values":      stdlib.ValuesFunc,
		"zipmap":      stdlib.ZipmapFunc,
	}
}

// withoutSecrets refuses secrets where f would write "(redacted)" into a
// string, and what the checks refuse.
func withoutSecrets(f function.Function, checks ...func([]cty.Value) error) function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType, AllowNull: true, AllowDynamicType: true},
		Type: func(args []cty.Value) (cty.Type, error) {
			for i, arg := range args {
				if holdsSecret(arg.Type()) {
					return cty.NilType, function.NewArgErrorf(i, "a secret cannot become part of a string")
				}
			}
			for _, check := range checks {
				if err := check(args); err != nil {
					return cty.NilType, err
				}
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

var wide = regexp.MustCompile(`%[^a-zA-Z%]*[0-9]{4}`)

// narrow refuses widths that would fill all memory.
func narrow(args []cty.Value) error {
	if len(args) > 0 && args[0].Type() == cty.String && args[0].IsKnown() && !args[0].IsNull() && wide.MatchString(args[0].AsString()) {
		return function.NewArgErrorf(0, "a width has at most three digits")
	}
	return nil
}

func holdsSecret(t cty.Type) bool {
	found := false
	walkTypes(t, func(t cty.Type) { found = found || t.Equals(secret.Type) })
	return found
}

func walkTypes(t cty.Type, visit func(cty.Type)) {
	visit(t)
	switch {
	case t.IsCollectionType():
		walkTypes(t.ElementType(), visit)
	case t.IsTupleType():
		for _, e := range t.TupleElementTypes() {
			walkTypes(e, visit)
		}
	case t.IsObjectType():
		for _, e := range t.AttributeTypes() {
			walkTypes(e, visit)
		}
	}
}

// fileBelow makes the function file, which reads regular files below dir; the
// kernel sees to it that no symbolic link leads out.
func fileBelow(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := readBelow(dir, args[0].AsString())
			return cty.StringVal(text), err
		},
	})
}

func readBelow(dir, path string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	info, err := root.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w; paths are relative to the spec and stay below its directory", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("%s is no regular file of at most 1 MiB", path)
	}
	f, err := root.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err
}
