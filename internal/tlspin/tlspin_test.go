package tlspin_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/tlspin"
)

func TestConfig(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	shown := tlspin.Fingerprint(server.Certificate())
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	other := strings.Repeat("AB:", 31) + "AB"

	tests := []struct {
		name, fingerprint string
		ca                []byte
		trusted           bool
	}{
		{"the fingerprint of the server", shown, nil, true},
		{"the fingerprint in lower case without colons", strings.ToLower(strings.ReplaceAll(shown, ":", "")), nil, true},
		{"another fingerprint", other, nil, false},
		{"the authority of the server", "", ca, true},
		{"neither: the system's roots do not know it", "", nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config, err := tlspin.Config(test.fingerprint, test.ca)
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{TLSClientConfig: config}
			defer transport.CloseIdleConnections()
			client := http.Client{Transport: transport}
			resp, err := client.Get(server.URL)
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != test.trusted {
				t.Fatalf("Get: %v, trusted should be %v", err, test.trusted)
			}
			if untrusted := tlspin.Explain(err); !test.trusted && (untrusted == nil || untrusted.Fingerprint != shown) {
				t.Errorf("Explain(%v) = %v, want fingerprint %s", err, untrusted, shown)
			}
		})
	}
}

func TestConfigRefuses(t *testing.T) {
	pin := strings.Repeat("00", 32)
	for name, make := range map[string]func() error{
		"both":                 func() error { _, err := tlspin.Config(pin, []byte("x")); return err },
		"a short fingerprint":  func() error { _, err := tlspin.Config("AA:BB", nil); return err },
		"an authority of junk": func() error { _, err := tlspin.Config("", []byte("junk")); return err },
	} {
		if make() == nil {
			t.Errorf("Config takes %s", name)
		}
	}
}

func TestExplainLeavesOtherErrors(t *testing.T) {
	if got := tlspin.Explain(errors.New("connection refused")); got != nil {
		t.Errorf("Explain = %v, want nil", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AA:BB")
	f.Add(strings.Repeat("0f", 32))
	f.Fuzz(func(t *testing.T, s string) {
		pin, err := tlspin.Parse(s)
		if err != nil {
			return
		}
		if again, err := tlspin.Parse(pin); err != nil || again != pin {
			t.Errorf("Parse(Parse(%q)) = %q, %v", s, again, err)
		}
	})
}
