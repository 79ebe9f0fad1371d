package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

// digest is the SHA-256 of the JSON form of all parts, as sha256:<hex>.
func digest(parts ...any) string {
	h := sha256.New()
	for _, p := range parts {
		feed(h, p)
	}
	return sum(h)
}

func sum(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// feed never fails: what is digested are plain values, and a hash takes all.
func feed(h hash.Hash, part any) { _ = json.NewEncoder(h).Encode(part) }

// specDigest tells whether two readings of a spec mean the same cluster. Where
// something stands does not count, nor do comments; of secrets their source
// counts, never their value.
func specDigest(c spec.Cluster) string {
	h := sha256.New()
	feed(h, settings(c.Provider.Body, c.Provider.Context))
	feed(h, settings(c.Installer.Body, c.Installer.Context))
	feed(h, []string{source(c.PullSecret), source(c.Services.DNS.Key.Secret)})
	for _, n := range c.Nodes {
		n.Range, n.Network.Range = hcl.Range{}, hcl.Range{}
		feed(h, n)
	}
	checks := slices.Clone(c.Checks)
	for i := range checks {
		checks[i].Range = hcl.Range{}
	}
	feed(h, checks)
	c.Nodes, c.Checks, c.Defaults = nil, nil, nil
	c.Provider = spec.Provider{Type: c.Provider.Type}
	c.Installer = spec.Installer{Type: c.Installer.Type}
	hosts := slices.Clone(c.Services.Hosts)
	for i := range hosts {
		hosts[i].Range = hcl.Range{}
	}
	c.Services.Hosts, c.Services.Balancer.Range = hosts, hcl.Range{}
	if m := c.Services.Machine; m != nil {
		clear := *m
		clear.Range, clear.Node.Range, clear.Network.Range = hcl.Range{}, hcl.Range{}, hcl.Range{}
		c.Services.Machine = &clear
	}
	c.Range, c.Network.Range, c.Services.Range, c.Services.DNS.Range = hcl.Range{}, hcl.Range{}, hcl.Range{}, hcl.Range{}
	feed(h, c)
	return sum(h)
}

// settings are the attributes of a block that the provider or the installer
// decodes, each in its JSON form.
func settings(body hcl.Body, ctx *hcl.EvalContext) map[string]string {
	if body == nil {
		return nil
	}
	attributes, _ := body.JustAttributes()
	values := make(map[string]string, len(attributes))
	for name, a := range attributes {
		v, _ := a.Expr.Value(ctx)
		values[name] = canonical(v)
	}
	return values
}

// canonical is the JSON form of v, with the sources of secrets in their place.
func canonical(v cty.Value) string {
	v, _ = v.UnmarkDeep()
	v, err := cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if !v.Type().Equals(secret.Type) {
			return v, nil
		}
		s, _ := secret.FromCty(v)
		return cty.StringVal(source(s)), nil
	})
	if err != nil || !v.IsWhollyKnown() {
		return "unknown"
	}
	text, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return "unknown"
	}
	return string(text)
}

// source is where a secret is read from, without where the spec says so.
func source(s secret.Value) string {
	from, _, _ := strings.Cut(s.Origin(), " (secret ")
	return from
}

// digest tells whether two looks saw the same of what plans are made from: in
// any order, and whether or not machines happened to be on.
func (o Observed) digest() string {
	h := sha256.New()
	for _, m := range sorted(o.Machines) {
		m.Power, m.Media, m.Tags = provider.PowerUnknown, "", nil
		feed(h, m)
	}
	if o.Served != nil {
		feed(h, normal(*o.Served))
	}
	feed(h, slices.Sorted(maps.Keys(o.Recorded)))
	feed(h, slices.Sorted(maps.Keys(o.Made)))
	o.Machines, o.Served, o.Recorded, o.Made = nil, nil, nil, nil
	feed(h, o)
	return sum(h)
}
