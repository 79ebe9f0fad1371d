package spec

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"os"

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
		"can":        tryfunc.CanFunc,
		"cidrhost":   cidrHost,
		"cidrsubnet": cidrSubnet,
		"concat":     stdlib.ConcatFunc,
		"file":       fileBelow(dir),
		"format":     withoutSecrets(stdlib.FormatFunc),
		"join":       stdlib.JoinFunc,
		"jsondecode": stdlib.JSONDecodeFunc,
		"jsonencode": withoutSecrets(stdlib.JSONEncodeFunc),
		"keys":       stdlib.KeysFunc,
		"length":     stdlib.LengthFunc,
		"lookup":     stdlib.LookupFunc,
		"lower":      stdlib.LowerFunc,
		"max":        stdlib.MaxFunc,
		"merge":      stdlib.MergeFunc,
		"min":        stdlib.MinFunc,
		"range":      stdlib.RangeFunc,
		"replace":    stdlib.ReplaceFunc,
		"split":      stdlib.SplitFunc,
		"tonumber":   stdlib.MakeToFunc(cty.Number),
		"tostring":   stdlib.MakeToFunc(cty.String),
		"try":        tryfunc.TryFunc,
		"upper":      stdlib.UpperFunc,
		"values":     stdlib.ValuesFunc,
	}
}

// withoutSecrets refuses secrets where f would write "(redacted)" into a string.
func withoutSecrets(f function.Function) function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType, AllowNull: true, AllowDynamicType: true},
		Type: func(args []cty.Value) (cty.Type, error) {
			for i, arg := range args {
				if holdsSecret(arg.Type()) {
					return cty.NilType, function.NewArgErrorf(i, "a secret cannot become part of a string")
				}
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
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

// cidrHost is cidrhost(prefix, number); a negative number counts from the end.
var cidrHost = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "number", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "%q is not a network such as 192.0.2.0/24", args[0].AsString())
		}
		addr, err := nth(prefix, prefix.Addr().BitLen()-prefix.Bits(), 0, args[1])
		return cty.StringVal(addr.String()), err
	},
})

// cidrSubnet is cidrsubnet(prefix, newbits, number).
var cidrSubnet = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "newbits", Type: cty.Number}, {Name: "number", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := netip.ParsePrefix(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "%q is not a network such as 192.0.2.0/24", args[0].AsString())
		}
		newbits, _ := args[1].AsBigFloat().Int64()
		rest := int64(prefix.Addr().BitLen()-prefix.Bits()) - newbits
		if newbits < 0 || rest < 0 {
			return cty.NilVal, function.NewArgErrorf(1, "%s cannot be longer by %d bits", prefix, newbits)
		}
		addr, err := nth(prefix, int(newbits), int(rest), args[2])
		return cty.StringVal(netip.PrefixFrom(addr, prefix.Bits()+int(newbits)).String()), err
	},
})

// nth writes number into the given count of bits of prefix's address that
// stand left of shift.
func nth(prefix netip.Prefix, bits, shift int, value cty.Value) (netip.Addr, error) {
	whole, accuracy := value.AsBigFloat().Int64()
	if accuracy != big.Exact {
		return netip.Addr{}, errors.New("the number is not whole, or too large")
	}
	number, size := big.NewInt(whole), new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if number.Sign() < 0 {
		number.Add(number, size)
	}
	if number.Sign() < 0 || number.Cmp(size) >= 0 {
		return netip.Addr{}, errors.New("the number does not fit into the network")
	}
	base := prefix.Masked().Addr()
	sum := new(big.Int).SetBytes(base.AsSlice())
	sum.Add(sum, number.Lsh(number, uint(shift)))
	addr, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, base.BitLen()/8)))
	return addr, nil
}
