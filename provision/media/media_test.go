package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/provision/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const owner = "mycluster.lab.test"

var image = append([]byte("QFI\xfb"), bytes.Repeat([]byte("0123456789abcdef"), 20_000)...)

func sum256(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
func sum512(b []byte) string { s := sha512.Sum512(b); return hex.EncodeToString(s[:]) }

// An archive serves an image and its checksums; ways of its to go wrong are
// taken in turn, one by each request for the image.
type archive struct {
	*httptest.Server
	mu    sync.Mutex
	image []byte
	sums  string
	wrong []func(http.ResponseWriter, *http.Request)
	asked []string // method and range of each request for the image
}

func newArchive(t *testing.T, wrong ...func(http.ResponseWriter, *http.Request)) *archive {
	a := &archive{image: image, sums: sum512([]byte("x")) + "  other.qcow2\n" + sum512(image) + " *disk.qcow2\n", wrong: wrong}
	a.Server = httptest.NewUnstartedServer(a)
	a.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.StartTLS()
	t.Cleanup(a.Close)
	return a
}

func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/SHA512SUMS") {
		fmt.Fprint(w, a.sums)
		return
	}
	a.mu.Lock()
	a.asked = append(a.asked, strings.TrimSpace(r.Method+" "+r.Header.Get("Range")))
	var wrong func(http.ResponseWriter, *http.Request)
	if len(a.wrong) > 0 {
		wrong, a.wrong = a.wrong[0], a.wrong[1:]
	}
	a.mu.Unlock()
	if wrong != nil {
		wrong(w, r)
		return
	}
	http.ServeContent(w, r, "disk.qcow2", time.Time{}, bytes.NewReader(a.image))
}

func (a *archive) fetcher(t *testing.T) Fetcher {
	return Fetcher{Dir: filepath.Join(t.TempDir(), "cache"), Client: a.Client(), Pace: 1000}
}

func (a *archive) source() Source { return Source{URL: a.URL + "/images/disk.qcow2"} }

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// cut ends a connection after n bytes of the image.
func cut(n int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(image)))
		w.Write(image[:n])
		panic(http.ErrAbortHandler)
	}
}

func answer(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// whole ignores the range, as some servers do.
func whole(w http.ResponseWriter, _ *http.Request) { w.Write(image) }

func TestFetch(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrong []func(http.ResponseWriter, *http.Request)
		part  string // what an earlier run has left
		asked []string
	}{
		{"at once", nil, "", []string{"GET"}},
		{"in parts", []func(http.ResponseWriter, *http.Request){cut(100_000)}, "", []string{"GET", "GET bytes=100000-"}},
		{"from a server that knows no ranges", []func(http.ResponseWriter, *http.Request){cut(100_000), whole}, "", []string{"GET", "GET bytes=100000-"}},
		{"from a server that is overloaded", []func(http.ResponseWriter, *http.Request){answer(503), answer(429)}, "", []string{"GET", "GET", "GET"}},
		{"after a run that was killed", nil, string(image[:1000]), []string{"GET bytes=1000-"}},
		{"after a run that was killed at the end", nil, string(image), []string{fmt.Sprintf("GET bytes=%d-", len(image))}},
		{"after another image had begun to come", nil, strings.Repeat("x", 1000), []string{"GET bytes=1000-", "GET"}},
		{"after one that was longer", nil, strings.Repeat("x", 1_000_000), []string{"GET bytes=1000000-", "GET"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newArchive(t, c.wrong...)
			f := a.fetcher(t)
			if err := os.MkdirAll(f.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f.file(digest{"sha512", sum512(image)})+".part", []byte(c.part), 0o600); err != nil {
				t.Fatal(err)
			}
			var got, total int64
			img, err := f.Fetch(bounded(t), a.source(), owner, func(g, t int64) { got, total = g, t })
			if err != nil {
				t.Fatal(err)
			}
			want := provider.Image{Name: "slipway-mycluster.lab.test-" + sum256(image)[:12] + ".qcow2",
				Path: filepath.Join(f.Dir, "sha512-"+sum512(image)), Size: int64(len(image)), SHA256: sum256(image)}
			if diff := cmp.Diff(want, img); diff != "" {
				t.Errorf("image (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.asked, a.asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if c.part != string(image) && (got != int64(len(image)) || total != got && c.name != "from a server that knows no ranges") {
				t.Errorf("progress ends at %d of %d", got, total)
			}
			content, err := os.ReadFile(img.Path)
			if err != nil || !bytes.Equal(content, image) {
				t.Errorf("%d bytes are there, error %v", len(content), err)
			}
			if _, err := f.Fetch(bounded(t), a.source(), "other.lab.test", nil); err != nil || len(a.asked) != len(c.asked) {
				t.Errorf("for another cluster: %d requests, error %v", len(a.asked), err)
			}
		})
	}
}

func TestACacheThatHasGoneBadIsFetchedAgain(t *testing.T) {
	a := newArchive(t)
	f := a.fetcher(t)
	img, err := f.Fetch(bounded(t), a.source(), owner, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(img.Path, []byte("QFI\xfb and no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := f.Fetch(bounded(t), a.source(), owner, nil)
	if diff := cmp.Diff(img, again); err != nil || diff != "" || len(a.asked) != 2 {
		t.Errorf("error %v after %v (-first +again):\n%s", err, a.asked, diff)
	}
}

func TestTwoFetchAtOnce(t *testing.T) {
	a := newArchive(t)
	f := a.fetcher(t)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := f.Fetch(bounded(t), a.source(), owner, nil); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if diff := cmp.Diff([]string{"GET"}, a.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotFetched(t *testing.T) {
	const wrongSum = "1111111111111111111111111111111111111111111111111111111111111111"
	for _, c := range []struct {
		name   string
		change func(*archive, *Source)
		want   string // after the URL
		asked  int
	}{
		{"another image than its digest says", func(_ *archive, s *Source) { s.SHA256 = wrongSum }, "its checksum is another: " + sum256(image) + ", not " + wrongSum, 1},
		{"one that is not there", func(a *archive, _ *Source) { a.wrong = append(a.wrong, answer(404)) }, "HOST answers 404 Not Found", 1},
		{"one without published checksum", func(a *archive, _ *Source) { a.sums = sum512(image) + "  other.qcow2\n" }, "BASE/images/SHA512SUMS: there is no checksum of disk.qcow2", 0},
		{"one with a published checksum that is none", func(a *archive, _ *Source) { a.sums = "1234  disk.qcow2\n" }, "BASE/images/SHA512SUMS: the checksum of disk.qcow2 is none", 0},
		{"one whose server stays overloaded", func(a *archive, _ *Source) {
			for range attempts {
				a.wrong = append(a.wrong, answer(503))
			}
		}, "HOST answers 503 Service Unavailable", attempts},
		{"a compressed one", func(_ *archive, s *Source) { s.URL += ".xz" }, "disk.qcow2.xz is not a disk image by its name", 0},
		{"one over http, unchecked", func(_ *archive, s *Source) { s.URL = strings.Replace(s.URL, "https", "http", 1) }, "without a digest the image must come over https", 0},
		{"a digest of another kind", func(_ *archive, s *Source) { s.SHA256 = "abcd" }, `"abcd" is not a SHA-256 digest`, 0},
		{"one whose URL has a password", func(a *archive, s *Source) {
			s.URL = strings.Replace(s.URL, "//", "//user:hunter2@", 1) + "?token=hunter2"
			a.wrong = append(a.wrong, answer(404))
		}, "HOST answers 404 Not Found", 1},
		{"a file", func(_ *archive, s *Source) { s.URL = "/srv/disk.qcow2" }, `"/srv/disk.qcow2" is not the URL of an image`, 0},
		{"what is called qcow2 and is not", func(a *archive, s *Source) {
			a.image = []byte("<html>")
			s.SHA256 = sum256(a.image)
		}, "DIR/sha256-" + sum256([]byte("<html>")) + " is no image of that kind", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newArchive(t)
			f, s := a.fetcher(t), a.source()
			c.change(a, &s)
			_, err := f.Fetch(bounded(t), s, owner, nil)
			want := "fetch cloud image " + strings.NewReplacer("user:hunter2@", "", "?token=hunter2", "").Replace(s.URL) + ": " + strings.NewReplacer("HOST", a.Listener.Addr().String(), "BASE", a.URL, "DIR", f.Dir).Replace(c.want)
			if err == nil || err.Error() != want || len(a.asked) != c.asked {
				t.Errorf("after %d requests: %v\nwant after %d:  %s", len(a.asked), err, c.asked, want)
			}
		})
	}
}

// Checksums that somebody on the way could have written are worth nothing.
func TestChecksumsAreNotTakenFromPlainHTTP(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, sum512(image)+"  disk.qcow2") }))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/SHA512SUMS", http.StatusFound))
	defer secure.Close()
	f := Fetcher{Dir: t.TempDir(), Client: secure.Client(), Pace: 1000}
	_, err := f.Fetch(bounded(t), Source{URL: secure.URL + "/disk.qcow2"}, owner, nil)
	if want := "it is redirected to " + plain.URL + "/SHA512SUMS"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want ... %s", err, want)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	reached := make(chan struct{})
	a := newArchive(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(image[:10])
		w.(http.Flusher).Flush()
		close(reached)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	go func() { <-reached; cancel(stop) }()
	if _, err := a.fetcher(t).Fetch(ctx, a.source(), owner, nil); !errors.Is(err, stop) {
		t.Errorf("error %v, want %v", err, stop)
	}
}

// An ending answers with a body that ends early, and well.
type ending []byte

func (e ending) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, ContentLength: -1, Body: io.NopCloser(bytes.NewReader(e)), Request: r}, nil
}

// A server that hears that nobody listens may end its answer as if it were whole.
func TestFetchEndsWithItsContextThoughTheAnswerEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	f := Fetcher{Dir: t.TempDir(), Client: &http.Client{Transport: ending(image[:10])}}
	s := Source{URL: "https://images.lab.test/disk.qcow2", SHA256: sum256(image)}
	if _, err := f.Fetch(ctx, s, owner, func(int64, int64) { cancel(stop) }); !errors.Is(err, stop) {
		t.Errorf("error %v, want %v", err, stop)
	}
}

func TestSize(t *testing.T) {
	a := newArchive(t)
	f := a.fetcher(t)
	for range 2 { // asked for, then at hand
		if n, err := f.Size(bounded(t), a.source()); err != nil || n != int64(len(image)) {
			t.Errorf("%d bytes, error %v", n, err)
		}
		if _, err := f.Fetch(bounded(t), a.source(), owner, nil); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"HEAD", "GET"}, a.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	lost := newArchive(t, answer(404))
	if _, err := lost.fetcher(t).Size(bounded(t), lost.source()); err == nil || !strings.HasSuffix(err.Error(), "answers 404 Not Found") {
		t.Errorf("error %v of an image that is not there", err)
	}
}

func TestARawImage(t *testing.T) {
	a := newArchive(t)
	a.image = []byte("a boot sector")
	img, err := a.fetcher(t).Fetch(bounded(t), Source{URL: a.URL + "/disk.img", SHA256: strings.ToUpper(sum256(a.image))}, owner, nil)
	if err != nil || filepath.Ext(img.Name) != ".raw" {
		t.Errorf("%s, error %v", img.Name, err)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(sum512(image)+"  disk.qcow2\n", "disk.qcow2")
	f.Add("zz *x", "x")
	f.Fuzz(func(t *testing.T, sums, name string) {
		sum, err := find(sums, name)
		if err == nil && (len(sum) != 128 || !strings.Contains(strings.ToLower(sums), sum) || !strings.Contains(sums, name)) {
			t.Errorf("%q of %q in %q", sum, name, sums)
		}
	})
}
