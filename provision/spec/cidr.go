package spec

import (
	"errors"
	"math/big"
	"net"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// cidrHost is cidrhost(prefix, number); a negative number counts from the end.
var cidrHost = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}, {Name: "number", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := parsePrefix(args[0])
		if err != nil {
			return cty.NilVal, err
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
		prefix, err := parsePrefix(args[0])
		if err != nil {
			return cty.NilVal, err
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

// cidrNetmask is cidrnetmask(prefix): 255.255.255.0 for a /24.
var cidrNetmask = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "prefix", Type: cty.String}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		prefix, err := parsePrefix(args[0])
		if err != nil {
			return cty.NilVal, err
		}
		if !prefix.Addr().Is4() {
			return cty.NilVal, function.NewArgErrorf(0, "%s is IPv6, which has no netmasks", prefix)
		}
		mask, _ := netip.AddrFromSlice(net.CIDRMask(prefix.Bits(), 32))
		return cty.StringVal(mask.String()), nil
	},
})

func parsePrefix(v cty.Value) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(v.AsString())
	if err != nil {
		return prefix, function.NewArgErrorf(0, "%q is not a network such as 192.0.2.0/24", v.AsString())
	}
	return prefix, nil
}
