package spec

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	mdns "github.com/miekg/dns"

	"github.com/slipway-project/slipway/internal/secret"
)

// DNSMode says who answers for the cluster's names.
type DNSMode string

// The modes.
const (
	DNSEmbedded DNSMode = "embedded" // slipway serve, at the services address
	DNSRFC2136  DNSMode = "rfc2136"  // the user's server, which slipway updates
	DNSExternal DNSMode = "external" // the user's server, which the user fills
)

var dnsModes = []string{string(DNSEmbedded), string(DNSRFC2136), string(DNSExternal)}

// DNS says who answers for the cluster's names. Everything but Mode is of the
// user's own server.
type DNS struct {
	Mode   DNSMode
	Server netip.AddrPort // the nodes' resolver; where updates go
	Key    DNSKey         // of DNSRFC2136
	Range  hcl.Range      // of server, or of the block
}

// A DNSKey signs updates (TSIG, RFC 8945).
type DNSKey struct {
	Name      string // absolute
	Algorithm string // hmac-sha256
	Secret    secret.Value
}

type rawDNS struct {
	Mode      *hcl.Attribute `hcl:"mode,optional"`
	Server    *hcl.Attribute `hcl:"server,optional"`
	Key       *hcl.Attribute `hcl:"key,optional"`
	Algorithm *hcl.Attribute `hcl:"algorithm,optional"`
	Secret    *hcl.Attribute `hcl:"secret,optional"`
	Range     hcl.Range      `hcl:",def_range"`
}

var dnsAlgorithms = []string{"hmac-sha256", "hmac-sha224", "hmac-sha384", "hmac-sha512", "hmac-sha1"}

// dns reads the dns block of services, which may be missing.
func (l *loader) dns(c *cluster, raw *rawDNS) {
	c.Services.DNS = DNS{Mode: DNSEmbedded}
	if raw == nil {
		return
	}
	d := &c.Services.DNS
	d.Range = raw.Range
	d.Mode = DNSMode(l.choice(raw.Mode, string(DNSEmbedded), dnsModes))
	switch d.Mode {
	case DNSEmbedded:
		l.useless("dns mode is embedded: slipway answers itself", raw.Server, raw.Key, raw.Algorithm, raw.Secret)
	case DNSExternal:
		l.dnsServer(d, raw)
		l.useless("dns mode is external: slipway changes nothing on that server", raw.Key, raw.Algorithm, raw.Secret)
	case DNSRFC2136:
		l.dnsServer(d, raw)
		l.dnsKey(d, raw)
	}
}

// choice reads one of the given words.
func (l *loader) choice(a *hcl.Attribute, or string, words []string) string {
	word, ok := l.text(a, `"`+or+`"`)
	if a == nil || !ok {
		return or
	}
	if !slices.Contains(words, word) {
		l.errorf(a.Expr.Range(), "Invalid "+a.Name, "%q is not one of %s. %s", word, strings.Join(words, ", "), didYouMean(word, words))
	}
	return word
}

// useless refuses attributes that would do nothing.
func (l *loader) useless(why string, attributes ...*hcl.Attribute) {
	for _, a := range attributes {
		if a != nil {
			l.errorf(a.NameRange, "Unused argument", "%q would do nothing: %s. Remove it.", a.Name, why)
		}
	}
}

func (l *loader) dnsServer(d *DNS, raw *rawDNS) {
	if l.missing(raw.Server, raw.Range, "server", `"192.0.2.53"`) {
		return
	}
	d.Range = raw.Server.Expr.Range()
	text, ok := l.text(raw.Server, `"192.0.2.53"`)
	if !ok {
		return
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		d.Server = netip.AddrPortFrom(addr, 53)
	} else if d.Server, err = netip.ParseAddrPort(text); err != nil || d.Server.Port() != 53 {
		l.errorf(d.Range, "Invalid DNS server", "%q is not the address of a DNS server that nodes can ask: they ask port 53. Write an address such as 192.0.2.53.", text)
	}
}

func (l *loader) dnsKey(d *DNS, raw *rawDNS) {
	if !l.missing(raw.Key, raw.Range, "key", `"slipway."`) {
		name, ok := l.text(raw.Key, `"slipway."`)
		if _, fits := mdns.IsDomainName(name); ok && (!fits || name == "") {
			l.errorf(raw.Key.Expr.Range(), "Invalid key name", "%q is not the name of a TSIG key. Write it as the server's configuration has it, such as slipway.", name)
		}
		d.Key.Name = mdns.CanonicalName(name)
	}
	d.Key.Algorithm = l.choice(raw.Algorithm, dnsAlgorithms[0], dnsAlgorithms)
	if !l.missing(raw.Secret, raw.Range, "secret", "secret.tsig") {
		d.Key.Secret, _ = l.secret(raw.Secret)
	}
}
