package pve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const boundary = "xYzZY"

func field(name, value string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

func filePart(name, content string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"" + name +
		"\"\r\nContent-Type: application/octet-stream\r\n\r\n" + content + "\r\n"
}

const end = "--" + boundary + "--\r\n"

func (l *lab) uploadRequest(body string) *http.Request {
	req := l.request("POST", base+"/nodes/pve/storage/local/upload", body)
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	return req
}

func sha(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// stored returns the ISO images by name.
func (l *lab) stored() map[string]string {
	found := map[string]string{}
	for _, path := range l.srv.Images() {
		content, err := os.ReadFile(path)
		if err != nil {
			l.t.Fatal(err)
		}
		found[filepath.Base(path)] = string(content)
	}
	return found
}

func TestUpload(t *testing.T) {
	iso := strings.Repeat("0123456789\r\n", 20_000) // several buffers of it
	algorithm, checksum := field("checksum-algorithm", "sha256"), field("checksum", sha(iso))
	content := field("content", "iso")
	cases := []struct {
		name, body string
		want       string // end of the task, or status
		errors     map[string]string
		stored     map[string]string
	}{
		{"in order", content + algorithm + checksum + filePart("x.iso", iso) + end, "OK", nil, map[string]string{"x.iso": iso}},
		{"without checksum", content + filePart("x.iso", iso) + end, "OK", nil, map[string]string{"x.iso": iso}},
		{"names are rewritten", content + filePart(`/tmp/my cluster+1.iso`, iso) + end, "OK", nil, map[string]string{"my_cluster_1.iso": iso}},
		{"fields after the file become part of it, and nobody checks",
			content + filePart("x.iso", iso) + algorithm + field("checksum", "00") + end, "OK", nil,
			map[string]string{"x.iso": iso + "\r\n" + algorithm + strings.TrimSuffix(field("checksum", "00"), "\r\n")}},
		{"the file first: content is missing", filePart("x.iso", iso) + content + end, "400 Parameter verification failed.",
			map[string]string{"content": "property is missing and it is not optional"}, map[string]string{}},
		{"a wrong checksum fails the task", content + algorithm + field("checksum", "00") + filePart("x.iso", iso) + end,
			"checksum mismatch: got '" + sha(iso) + "' != expect '00'", nil, map[string]string{}},
		{"a checksum needs its algorithm", content + checksum + filePart("x.iso", iso) + end, "400 Parameter verification failed.",
			map[string]string{"checksum-algorithm": "missing property required by 'checksum'"}, map[string]string{}},
		{"only ISO names", content + filePart("x.txt", iso) + end, "400 Parameter verification failed.",
			map[string]string{"filename": "wrong file extension"}, map[string]string{}},
		{"only what the storage takes", field("content", "import") + filePart("x.qcow2", iso) + end,
			"500 storage 'local' does not support 'import' content", nil, map[string]string{}},
		{"a qcow2 image with a backing file is refused", content + filePart("x.img", "QFI\xfb\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x01\x00") + end,
			"invalid/untrusted image: qcow2 with backing file", nil, map[string]string{}},
		{"a body that stops short", content + filePart("x.iso", iso), "500 upload failed", nil, map[string]string{}},
		{"another field name for the file", content + strings.Replace(filePart("x.iso", iso), `name="filename"`, `name="file"`, 1) + end,
			"500 upload failed", nil, map[string]string{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, nil)
			r := l.send(l.uploadRequest(c.body))
			got := r.Status
			if r.Data != nil {
				got = l.await(r)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if diff := cmp.Diff(c.errors, r.Errors); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.stored, l.stored()); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			l.until("the spool is empty", func() bool { left, _ := os.ReadDir(l.srv.spool); return len(left) == 0 })
		})
	}
}

func TestUploadOverwritesSilently(t *testing.T) {
	l := newLab(t, nil)
	for _, iso := range []string{"first", "second"} {
		if got := l.await(l.send(l.uploadRequest(field("content", "iso") + filePart("x.iso", iso) + end))); got != "OK" {
			t.Fatal(got)
		}
	}
	if diff := cmp.Diff(map[string]string{"x.iso": "second"}, l.stored()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestUploadsTheServerDoesNotUnderstandGetNoAnswer(t *testing.T) {
	file := filePart("x.iso", "0123456789")
	for name, body := range map[string]string{
		"checksum before its algorithm": field("content", "iso") + field("checksum", "00") + field("checksum-algorithm", "sha256") + file + end,
		"a field nobody knows":          field("content", "iso") + field("colour", "red") + file + end,
		"Content-Disposition is not first": field("content", "iso") +
			strings.Replace(file, "Content-Disposition", "Content-Type: application/octet-stream\r\nContent-Disposition", 1) + end,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			resp, err := l.client.Do(l.uploadRequest(body))
			if err == nil {
				resp.Body.Close()
				t.Errorf("answered %s, want a dropped connection", resp.Status)
			}
		})
	}
}

func TestUploadNeedsALength(t *testing.T) {
	l := newLab(t, nil)
	req := l.uploadRequest("")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(end)), -1
	if got, want := l.send(req).Status, "501 chunked transfer encoding not supported"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestISOsAreListedAndDeleted(t *testing.T) {
	l := newLab(t, nil).as("admin")
	l.await(l.send(l.uploadRequest(field("content", "iso") + filePart("x.iso", "0123456789") + end)))
	list := l.call("GET", "/nodes/pve/storage/local/content", "content", "iso").Data.([]any)
	entry := list[0].(map[string]any)
	delete(entry, "ctime")
	want := map[string]any{"volid": "local:iso/x.iso", "content": "iso", "format": "iso", "size": 10.0}
	if diff := cmp.Diff(want, entry); diff != "" || len(list) != 1 {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	if got := l.task("DELETE", "/nodes/pve/storage/local/content/local:iso/x.iso"); got != "OK" {
		t.Errorf("delete: %s", got)
	}
	if got := l.stored(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestDownload(t *testing.T) {
	const iso = "the ISO"
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/x.iso" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, iso)
	}))
	defer web.Close()
	l := newLab(t, nil)
	steps := []struct{ name, path, checksum, want string }{
		{"HTTP 404 is wget's exit code 8", "/y.iso", "", "download failed: exit code 8"},
		{"wrong checksum", "/x.iso", "00", "checksum mismatch: got '" + sha(iso) + "' != expect '00'"},
		{"right checksum", "/x.iso", sha(iso), "OK"},
		{"right checksum again: nothing to do", "/y.iso", sha(iso), "OK"},
		{"another file is there", "/x.iso", "00", "checksum mismatch: got '" + sha(iso) + "' != expect '00', aborting"},
		{"some file is there", "/x.iso", "", "refusing to override existing file '" + filepath.Join(l.srv.cfg.Dir, "local/template/iso/z.iso") + "'"},
	}
	for _, s := range steps {
		params := []string{"content", "iso", "filename", "z.iso", "url", web.URL + s.path}
		if s.checksum != "" {
			params = append(params, "checksum", s.checksum, "checksum-algorithm", "sha256")
		}
		if got := l.task("POST", "/nodes/pve/storage/local/download-url", params...); got != s.want {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
	}
}

func TestDownloadRights(t *testing.T) {
	cases := []struct {
		version string
		want    string
	}{
		{"9.1.4", "400 Parameter verification failed."},
		{"8.1.4", "403 Permission check failed (/, Sys.Audit)"},
	}
	for _, c := range cases {
		l := newLab(t, func(cfg *Config) { cfg.Version = c.version })
		if got := l.call("POST", "/nodes/pve/storage/local/download-url").Status; got != c.want {
			t.Errorf("%s: %q, want %q", c.version, got, c.want)
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(field("content", "iso") + field("checksum-algorithm", "sha256") + field("checksum", "00") + filePart("x.iso", "data") + end)
	f.Add(filePart("x.iso", "a\r\n--"+boundary+"\r\n") + end)
	f.Add("--" + boundary + "\nContent-Disposition: form-data; name=\"content\"\n\niso\n--" + boundary + "\n")
	f.Fuzz(func(t *testing.T, body string) {
		var whole, dribbled bytes.Buffer
		fields, again := map[string]string{}, map[string]string{}
		n, err := receive(strings.NewReader(body), boundary, fields, &whole)
		_, err2 := receive(iotest.OneByteReader(strings.NewReader(body)), boundary, again, &dribbled)
		if fmt.Sprint(err) != fmt.Sprint(err2) || !cmp.Equal(fields, again) || !bytes.Equal(whole.Bytes(), dribbled.Bytes()) {
			t.Errorf("the result depends on how the body arrives: %v, %v", err, err2)
		}
		if err == nil && int64(whole.Len()) != n {
			t.Errorf("reported %d bytes, wrote %d", n, whole.Len())
		}
		if err == nil && !strings.Contains(body, whole.String()) {
			t.Error("wrote what is not in the body")
		}
	})
}

func TestReceiveReportsAFullDisk(t *testing.T) {
	full := errors.New("no space left on device")
	body := field("content", "iso") + filePart("x.iso", strings.Repeat("x", 200<<10)) + end
	if _, err := receive(strings.NewReader(body), boundary, map[string]string{}, failing{full}); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
