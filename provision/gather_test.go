package provision

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func bundle() Gathered {
	return Gathered{Cluster: "mycluster.lab.test", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Slipway: "v1.2.3",
		Things: []Thing{
			{Name: "nodes/control-0/journal.txt", Error: "ssh 192.0.2.201:22: refused"},
			{Name: "state.json", Bytes: 3, text: []byte("{}\n")},
		},
		Unread: []string{"environment variable PULL"}}
}

func TestBundleListsWhatItHasAndWhatNot(t *testing.T) {
	var b bytes.Buffer
	if err := bundle().write(&b); err != nil {
		t.Fatal(err)
	}
	const top = "slipway-gather-mycluster.lab.test/"
	want := map[string]string{
		top + "state.json": "{}\n",
		top + "index.txt": `Gathered of mycluster.lab.test by slipway v1.2.3 at 2026-01-02 03:04:05 UTC.
Secrets of the cluster are replaced by (redacted).

In this bundle:
  state.json                               3 bytes

Missing, or not whole:
  nodes/control-0/journal.txt      ssh 192.0.2.201:22: refused

Secrets that could not be read, and so were not looked for:
  environment variable PULL
`}
	if diff := cmp.Diff(want, unpack(t, b.Bytes())); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
}

func TestBundleIsReproducible(t *testing.T) {
	var a, b bytes.Buffer
	if err := errors.Join(bundle().write(&a), bundle().write(&b)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same things make different bundles")
	}
}

func unpack(t *testing.T, data []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(zip); ; {
		head, err := in.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if head.Mode != 0o600 || head.Uid != 0 || head.Uname != "" {
			t.Errorf("%s: mode %o of %d %s", head.Name, head.Mode, head.Uid, head.Uname)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[head.Name] = string(text)
	}
}

func TestCollectKeepsWhatWasReadBeforeAFailure(t *testing.T) {
	got := collect(t.Context(), []source{
		{"b", func(context.Context) ([]byte, error) { return []byte("half"), errors.New("connection dropped") }},
		{"a", func(ctx context.Context) ([]byte, error) {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("nothing ends it")
			}
			return []byte("whole"), nil
		}},
	})
	want := []Thing{{Name: "a", text: []byte("whole")}, {Name: "b", text: []byte("half"), Error: "connection dropped"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Thing{})); diff != "" {
		t.Errorf("things (-want +got):\n%s", diff)
	}
}

func TestLogsAreReadFromTheirEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 100)+strings.Repeat("y", gatherTail)), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := tailOf(path)(t.Context())
	if err != nil || string(text) != strings.Repeat("y", gatherTail) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
