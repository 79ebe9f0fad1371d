package assisted

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/tlspin"
)

// TokenVariable is the environment variable that token defaults to.
const TokenVariable = "SLIPWAY_ASSISTED_TOKEN"

// A Config is an installer block of type assisted, checked.
type Config struct {
	Endpoint    *url.URL     // http://192.0.2.9:8090, without a path
	Token       secret.Value // absent: a service without authentication
	Fingerprint string       // AA:BB:..., "" when none is given
	CA          string       // PEM file, "" when none is given
}

type rawConfig struct {
	Endpoint         string    `hcl:"endpoint"`
	EndpointRange    hcl.Range `hcl:"endpoint,attr_value_range"`
	Token            cty.Value `hcl:"token,optional"`
	TokenRange       hcl.Range `hcl:"token,attr_value_range"`
	Fingerprint      string    `hcl:"fingerprint,optional"`
	FingerprintRange hcl.Range `hcl:"fingerprint,attr_value_range"`
	CA               string    `hcl:"ca,optional"`
	CARange          hcl.Range `hcl:"ca,attr_value_range"`
}

// Decode reads the body of an installer block. It contacts nobody and reads
// no file; lookup (os.LookupEnv) is asked only whether TokenVariable is set.
func Decode(body hcl.Body, ctx *hcl.EvalContext, lookup func(string) (string, bool)) (Config, hcl.Diagnostics) {
	var raw rawConfig
	diags := gohcl.DecodeBody(body, ctx, &raw)
	var cfg Config
	for _, check := range []func(*Config) *hcl.Diagnostic{raw.endpoint, raw.trust} {
		if d := check(&cfg); d != nil {
			diags = append(diags, d)
		}
	}
	if d := raw.token(&cfg, lookup); d != nil {
		diags = append(diags, d)
	}
	return cfg, diags
}

func wrong(subject hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &subject,
	}
}

// endpoint takes the URL as people copy it: with or without slash or the
// path of the API.
func (r rawConfig) endpoint(cfg *Config) *hcl.Diagnostic {
	const summary = "Invalid endpoint"
	if r.EndpointRange.Filename == "" { // missing, which gohcl has said
		return nil
	}
	u, err := url.Parse(strings.TrimSpace(r.Endpoint))
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return wrong(r.EndpointRange, summary, "%q is not the URL of an assisted service. Write one such as http://192.0.2.9:8090.", r.Endpoint)
	}
	if u.User != nil {
		return wrong(r.EndpointRange, summary, "The endpoint must not carry a user or password. Use token, or the environment variable %s.", TokenVariable)
	}
	if path := strings.TrimRight(u.Path, "/"); path != "" && !strings.HasPrefix(apiBase, path) {
		return wrong(r.EndpointRange, summary, "The path %q is not that of the assisted service. Write %s://%s.", u.Path, u.Scheme, u.Host)
	}
	cfg.Endpoint = &url.URL{Scheme: u.Scheme, Host: u.Host}
	return nil
}

func (r rawConfig) token(cfg *Config, lookup func(string) (string, bool)) *hcl.Diagnostic {
	value, ok := secret.FromCty(r.Token)
	if !ok {
		return wrong(r.TokenRange, "Literal secret",
			"A token must not stand in the file. Declare secret \"assisted\" { env = %q } and write token = secret.assisted, or leave token out: %s is its default.",
			TokenVariable, TokenVariable)
	}
	if token, found := lookup(TokenVariable); !value.Set() && found && token != "" {
		value = secret.Of("environment variable "+TokenVariable, token)
	}
	cfg.Token = value
	return nil
}

// trust reads fingerprint and ca; ca is relative to the file it is written in.
func (r rawConfig) trust(cfg *Config) *hcl.Diagnostic {
	given, at := r.Fingerprint != "" || r.CA != "", r.FingerprintRange
	if r.Fingerprint == "" {
		at = r.CARange
	}
	switch {
	case r.Fingerprint != "" && r.CA != "":
		return wrong(r.CARange, "Two trust anchors", "A fingerprint trusts one certificate, ca trusts all of an authority. Write only one of them.")
	case given && cfg.Endpoint != nil && cfg.Endpoint.Scheme == "http":
		return wrong(at, "Trust without TLS", "The endpoint is http and shows no certificate. Write https:// in endpoint, or remove this.")
	}
	if cfg.CA = r.CA; r.CA != "" && !filepath.IsAbs(r.CA) {
		cfg.CA = filepath.Join(filepath.Dir(r.CARange.Filename), r.CA)
	}
	if r.Fingerprint == "" {
		return nil
	}
	pin, err := tlspin.Parse(r.Fingerprint)
	if err != nil {
		return wrong(r.FingerprintRange, "Invalid fingerprint", "%q is not a SHA-256 fingerprint. Write 32 hex bytes, such as AA:BB:….", r.Fingerprint)
	}
	cfg.Fingerprint = pin
	return nil
}
