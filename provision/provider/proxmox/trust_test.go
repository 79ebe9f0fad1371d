package proxmox_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// serve runs a simulator on its own listener, with its own certificate.
func serve(t *testing.T, tokenSecret string) (server *pve.Server, address string) {
	t.Helper()
	server, err := pve.New(pve.Config{
		Dir: t.TempDir(), Speed: speed, Hosts: []string{"127.0.0.1"},
		Tokens: []pve.Token{{ID: "slipway@pve!test", Secret: tokenSecret, ACL: allRights}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done; server.Close() })
	return server, l.Addr().String()
}

func TestTrust(t *testing.T) {
	server, address := serve(t, ourSecret)
	pin := server.Fingerprint()
	wrong := strings.Repeat("00:", 31) + "00"
	ca := filepath.Join(t.TempDir(), "pve-root-ca.pem")
	if err := os.WriteFile(ca, server.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	const another = "it has another fingerprint than the one given"
	for _, c := range []struct {
		name, attributes, variable string
		want                       string // cause; "" when it is trusted
	}{
		{"its fingerprint", `fingerprint = "` + pin + `"`, "", ""},
		{"its fingerprint in lower case without colons", `fingerprint = "` + strings.ToLower(strings.ReplaceAll(pin, ":", "")) + `"`, "", ""},
		{"its fingerprint in the environment", "", pin, ""},
		{"either fingerprint", `fingerprint = "` + wrong + `"`, pin, ""},
		{"its authority", `ca = "` + ca + `"`, "", ""},
		{"another fingerprint", `fingerprint = "` + wrong + `"`, "", another},
		{"nothing", "", "", "x509: certificate signed by unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &datacentre{t: t}
			cfg := d.decode("endpoint = \"https://" + address + "\"\n" + c.attributes)
			p, err := proxmox.Open(cfg, proxmox.Options{Pace: speed, Lookup: func(name string) (string, bool) {
				values := map[string]string{proxmox.TokenVariable: "slipway@pve!test=" + ourSecret, proxmox.FingerprintVariable: c.variable}
				return values[name], values[name] != ""
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			_, err = p.Find(bounded(t), mark)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var untrusted *proxmox.UntrustedError
			if !errors.As(err, &untrusted) {
				t.Fatalf("error is %v", err)
			}
			want := "certificate of " + address + " is not trusted: " + c.want + "; its SHA-256 fingerprint is " + pin
			if untrusted.Error() != want {
				t.Errorf("error is %q\nwant %q", untrusted, want)
			}
			wantHint := `compare it with the node's (Certificates in the web interface), then write fingerprint = "` + pin + `"`
			if got := hint.Of(err); got != wantHint {
				t.Errorf("hint is %q\nwant %q", got, wantHint)
			}
		})
	}
}

func TestCheckFirstCall(t *testing.T) {
	server, address := serve(t, rootSecret)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	nobody := closed.Addr().String()
	pin := `fingerprint = "` + server.Fingerprint() + `"`
	for _, c := range []struct {
		name, endpoint, attributes, token string
		want                              provider.Problem
	}{
		{"nobody listens", nobody, "", ourSecret, provider.Problem{
			What: "Proxmox VE at " + nobody + " does not answer: dial tcp " + nobody + ": connect: connection refused",
			Hint: "is the endpoint right and the node up? its web interface is at https://" + nobody}},
		{"the certificate is not trusted", address, "", rootSecret, provider.Problem{
			What: "certificate of " + address + " is not trusted: x509: certificate signed by unknown authority; its SHA-256 fingerprint is " + server.Fingerprint(),
			Hint: `compare it with the node's (Certificates in the web interface), then write fingerprint = "` + server.Fingerprint() + `"`}},
		{"the token is wrong", address, pin, ourSecret, provider.Problem{
			What: "the token is not valid at " + address + ": GET /version: Authentication failed!",
			Hint: "make a token with `pveum user token add USER@REALM slipway` and give it as USER@REALM!slipway=UUID"}},
		{"the token is no token", address, pin, "secret", provider.Problem{
			What: "token is not of the form USER@REALM!NAME=UUID",
			Hint: "`pveum user token add USER@REALM NAME` prints both parts: full-tokenid and value"}},
		{"there is no token", address, pin, "", provider.Problem{
			What: "read secret from environment variable SLIPWAY_PROXMOX_TOKEN: it is not set",
			Hint: "export SLIPWAY_PROXMOX_TOKEN='USER@REALM!NAME=UUID', or give a secret as token"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &datacentre{t: t}
			token := ""
			if c.token != "" {
				token = "slipway@pve!test=" + c.token
			}
			p, err := proxmox.Open(d.decode("endpoint = \"https://"+c.endpoint+"\"\n"+c.attributes), proxmox.Options{Pace: speed, Lookup: environment(token)})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			c.want.Fatal = true
			checkProblems(t, p.Check(bounded(t), provider.Request{}), c.want)
		})
	}
}
