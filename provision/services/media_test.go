package services

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
)

// serveMedia serves a directory with an image, and with what is none.
func serveMedia(t *testing.T) *mediaServer {
	t.Helper()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside.iso")
	for path, text := range map[string]string{outside: "secret", filepath.Join(dir, "boot.iso"): "0123456789",
		filepath.Join(dir, "notes.txt"): "secret", filepath.Join(dir, ".hidden.iso"): "secret"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"same.iso": "boot.iso", "out.iso": outside, "up.iso": "../" + filepath.Base(filepath.Dir(outside)) + "/outside.iso"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.iso"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.iso"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := openMedia(Media{dir, netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.serve(ctx) }()
	t.Cleanup(func() { stop(); <-ended; m.close() })
	return m
}

func (m *mediaServer) ask(t *testing.T, method, path string, header ...string) (status int, body string, h http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+m.Listen.String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestMedia(t *testing.T) {
	m := serveMedia(t)
	_, _, header := m.ask(t, "HEAD", "/boot.iso")
	tag := header.Get("ETag")
	if tag == "" || header.Get("Content-Length") != "10" || header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD: %v", header)
	}
	for _, tt := range []struct {
		name, method, path string
		header             []string
		status             int
		body               string
	}{
		{"an image", "GET", "/boot.iso", nil, 200, "0123456789"},
		{"its head", "HEAD", "/boot.iso", nil, 200, ""},
		{"a part", "GET", "/boot.iso", []string{"Range", "bytes=2-4"}, 206, "234"},
		{"its end", "GET", "/boot.iso", []string{"Range", "bytes=-2"}, 206, "89"},
		{"beyond its end", "GET", "/boot.iso", []string{"Range", "bytes=10-"}, 416, "invalid range: failed to overlap\n"},
		{"what one has already", "GET", "/boot.iso", []string{"If-None-Match", tag}, 304, ""},
		{"a part of what it was", "GET", "/boot.iso", []string{"Range", "bytes=2-4", "If-Range", `"old"`}, 200, "0123456789"},
		{"a link inside", "GET", "/same.iso", nil, 200, "0123456789"},
		{"a link outside", "GET", "/out.iso", nil, 404, "404 page not found\n"},
		{"a link upward", "GET", "/up.iso", nil, 404, "404 page not found\n"},
		{"the list", "GET", "/", nil, 404, "404 page not found\n"},
		{"another file", "GET", "/notes.txt", nil, 404, "404 page not found\n"},
		{"a hidden file", "GET", "/.hidden.iso", nil, 404, "404 page not found\n"},
		{"a directory", "GET", "/dir.iso", nil, 404, "404 page not found\n"},
		{"a pipe", "GET", "/pipe.iso", nil, 404, "404 page not found\n"},
		{"a path", "GET", "/..%2foutside.iso", nil, 404, "404 page not found\n"},
		{"a change", "PUT", "/boot.iso", nil, 405, "Method Not Allowed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body, _ := m.ask(t, tt.method, tt.path, tt.header...)
			if status != tt.status || body != tt.body {
				t.Errorf("%d %q, want %d %q", status, body, tt.status, tt.body)
			}
		})
	}
	for range maxReaders {
		m.reading <- struct{}{}
	}
	if status, _, header := m.ask(t, "GET", "/boot.iso"); status != 503 || header.Get("Retry-After") == "" {
		t.Errorf("one reader too many: %d %v", status, header)
	}
	st := m.status()
	if diff := cmp.Diff([]string{"boot.iso", "same.iso"}, st.Images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if st.Requests != 9 || st.Refused != 8 {
		t.Errorf("%d requests, %d refused", st.Requests, st.Refused)
	}
}

func TestMediaRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, want, advice string
		media              Media
	}{
		{"all addresses", "is not that of one host", "images may hold secrets", Media{t.TempDir(), netip.MustParseAddrPort("0.0.0.0:8080")}},
		{"no address", "is not that of one host", "images may hold secrets", Media{Dir: t.TempDir()}},
		{"no directory", "media directory: ", "", Media{filepath.Join(t.TempDir(), "none"), netip.MustParseAddrPort("127.0.0.1:0")}},
		{"an address of others", "media: listen tcp 192.0.2.1:8080", "", Media{t.TempDir(), netip.MustParseAddrPort("192.0.2.1:8080")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := openMedia(tt.media)
			if m != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(hint.Of(err), tt.advice) {
				t.Errorf("%v, %v (%s)", m, err, hint.Of(err))
			}
		})
	}
}
