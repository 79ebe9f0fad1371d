package assisted_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/tlspin"
	"github.com/slipway-project/slipway/provision/installer/assisted"
)

// spoilImage has an image be what serve writes.
func (w *world) spoilImage(serve func(http.ResponseWriter)) {
	w.wire.spoilBy(func(rw http.ResponseWriter, r *http.Request) bool {
		ours := strings.HasPrefix(r.URL.Path, "/byid/")
		if ours {
			serve(rw)
		}
		return ours
	})
}

// spoilFirst spoils the first n requests with spoiled.
func (w *world) spoilFirst(n int, spoiled http.HandlerFunc) {
	w.wire.spoilBy(func(rw http.ResponseWriter, r *http.Request) bool {
		if n--; n < 0 {
			return false
		}
		spoiled(rw, r)
		return true
	})
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func busy(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "<html>busy</html>", http.StatusServiceUnavailable)
}

func slowDown(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "", http.StatusTooManyRequests)
}

func TestGETIsRepeated(t *testing.T) {
	for name, spoiled := range map[string]http.HandlerFunc{"connection cut": hangUp, "503": busy, "429": slowDown} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.spoilFirst(4, spoiled)
			if _, err := w.engine.Find(t.Context(), mark("")); err != nil {
				t.Errorf("Find after 4 spoiled answers: %v", err)
			}
			w.spoilFirst(1000, spoiled)
			if _, err := w.engine.Find(t.Context(), mark("")); err == nil {
				t.Error("Find succeeds although every answer is spoiled")
			}
		})
	}
}

// The reply to a POST is lost: the next Register finds what was made.
func TestLostReply(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	lost := map[string]bool{}
	w.wire.spoilBy(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || lost[r.URL.Path] {
			return false
		}
		lost[r.URL.Path] = true
		w.service.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	for range 2 {
		if _, err := w.engine.Register(t.Context(), c); err == nil {
			t.Error("Register succeeds although the reply was lost")
		}
	}
	ref := w.register(c)
	if len(w.service.Clusters()) != 1 || len(w.service.InfraEnvs()) != 1 || ref.InfraEnvID == "" {
		t.Errorf("registered %v: %q, %q", ref, w.service.Clusters(), w.service.InfraEnvs())
	}
}

func TestBearer(t *testing.T) {
	const token = "eyJhbGciOi.T0ken"
	w, c := newWorld(t, token), testCluster()
	ref := w.register(c)
	checkMedia(w, c, ref)
	for _, x := range w.wire.all() {
		if image := strings.HasPrefix(x.path, "/bytoken/"); image == (x.authentication == "Bearer "+token) {
			t.Errorf("%s is sent with Authorization %q", x.path, x.authentication)
		}
	}
	_, err := w.open("wr0ng-token").Find(t.Context(), mark(""))
	if refused(err) != 401 || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("with a wrong token: %v", err)
	}
}

// A service that repeats what it was sent does not get it into our errors.
func TestSecretsStayOutOfErrors(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	pull := `{"auths":{"registry.lab.test":{"auth":"c2VjcmV0OnNlY3JldA=="}}}`
	c.PullSecret = secret.Of("test", pull)
	engine := w.open("t0p-secret")
	var said func(r *http.Request, body []byte) string
	w.wire.spoilBy(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		rw.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(rw).Encode(map[string]any{"code": 400, "message": "bad " + said(r, body)})
		return true
	})
	for _, said = range []func(*http.Request, []byte) string{
		func(r *http.Request, _ []byte) string { return r.Header.Get("Authorization") },
		func(_ *http.Request, body []byte) string { return string(body) },
		func(*http.Request, []byte) string { return pull },
		func(*http.Request, []byte) string { return "auth c2VjcmV0OnNlY3JldA== of registry.lab.test" },
	} {
		_, err := engine.Register(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "(redacted)") {
			t.Errorf("nothing was redacted: %v", err)
		}
		for _, hidden := range []string{"t0p-secret", "c2VjcmV0OnNlY3JldA"} {
			if err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("%q is in: %v", hidden, err)
			}
		}
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	w := newWorld(t, "")
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	w.wire.spoilBy(func(rw http.ResponseWriter, r *http.Request) bool {
		cancel(interrupted)
		<-r.Context().Done()
		return true
	})
	if _, err := w.engine.Find(ctx, mark("")); !errors.Is(err, interrupted) {
		t.Errorf("Find = %v, want the cause of the cancellation", err)
	}
}

func TestMediaIsCutShort(t *testing.T) {
	w, c := newWorld(t, ""), testCluster()
	ref := w.register(c)
	w.spoilImage(func(rw http.ResponseWriter) {
		rw.Header().Set("Content-Length", "1000")
		io.WriteString(rw, "half")
	})
	if n, err := w.engine.Media(t.Context(), ref, io.Discard, nil); n != 4 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Media = %d, %v", n, err)
	}
}

func TestTrust(t *testing.T) {
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "[]") }))
	service.Config.ErrorLog = log.New(io.Discard, "", 0)
	service.StartTLS()
	defer service.Close()
	shown := tlspin.Fingerprint(service.Certificate())
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoint, err := url.Parse(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]assisted.Config{
		"fingerprint": {Endpoint: endpoint, Fingerprint: shown},
		"ca":          {Endpoint: endpoint, CA: ca},
		"neither":     {Endpoint: endpoint},
	} {
		engine, err := assisted.Open(config, assisted.Options{Pace: speed})
		if err != nil {
			t.Fatal(err)
		}
		_, err = engine.Find(t.Context(), mark(""))
		var untrusted *tlspin.UntrustedError
		if name == "neither" {
			if !errors.As(err, &untrusted) || untrusted.Fingerprint != shown {
				t.Errorf("%s: %v, want the fingerprint %s", name, err, shown)
			}
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		engine.Close()
	}
}
