package pve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	checksumAlgorithm = text.opt().of("md5", "sha1", "sha224", "sha256", "sha384", "sha512").needs("checksum")
	uploadParams      = schema{
		"node": nodeParam, "storage": storageParam, "content": text.of("iso", "vztmpl", "import"),
		"filename": text.upTo(255), "checksum": text.opt().needs("checksum-algorithm"), "checksum-algorithm": checksumAlgorithm,
	}
)

var newHash = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224,
	"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// An upload is a file that has arrived in the spool.
type upload struct {
	path string
	size int64
}

// answerUpload takes the whole body before it asks for rights, as the real
// server does.
func (s *Server) answerUpload(r *http.Request, token *Token, e *endpoint, inPath map[string]string) (any, error) {
	boundary, err := uploadBoundary(r)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(s.spool, "pveupload-*")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	args := newArguments()
	entry := s.entryOf(r)
	size, err := receive(s.cutBody(r, entry), boundary, args.values, file)
	if errors.Is(err, errFieldOrder) {
		return nil, s.hang(r, file.Name())
	}
	if err != nil {
		os.Remove(file.Name())
		if errors.Is(err, errDropped) {
			return nil, err
		}
		return nil, refuse(http.StatusInternalServerError, "upload failed")
	}
	c := &call{srv: s, ctx: r.Context(), token: token, entry: entry, upload: &upload{file.Name(), size}}
	data, err := s.dispatch(r, c, e, inPath, args)
	if err != nil {
		os.Remove(file.Name())
	}
	return data, err
}

// uploadBoundary returns the boundary as the real server reads it: the
// parameter is not unquoted.
func uploadBoundary(r *http.Request) (string, error) {
	kind, params, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	m := boundaryParam.FindStringSubmatch(params)
	switch {
	case r.ContentLength <= 0:
		return "", refuse(http.StatusInternalServerError, "upload without content length header not supported")
	case strings.TrimSpace(kind) != "multipart/form-data" || m == nil:
		return "", refuseContentType(http.StatusInternalServerError, r)
	}
	return m[1], nil
}

var boundaryParam = regexp.MustCompile(`(?:^|[;,])\s*boundary\s*=\s*([^\s;,]+)`)

// uploadStall is how long a stalled upload keeps its connection.
const uploadStall = 30 * time.Second

// hang is what becomes of an upload whose parts the server does not
// understand: nothing is read any more, and some day the connection drops.
func (s *Server) hang(r *http.Request, path string) error {
	defer os.Remove(path)
	if err := s.pause(r.Context(), uploadStall); err != nil {
		return err
	}
	panic(http.ErrAbortHandler)
}

var errFieldOrder = errors.New("unexpected multipart field")

// receive reads a multipart body the way the real server does: the fields
// content, checksum-algorithm and checksum in this order, each optional, then
// the file, then nothing. What comes after the file's part and before the
// closing delimiter is taken for file.
func receive(body io.Reader, boundary string, fields map[string]string, file io.Writer) (int64, error) {
	r := bufio.NewReaderSize(body, 64<<10)
	if err := skipTo(r, "--"+boundary); err != nil {
		return 0, err
	}
	expected := []string{"content", "checksum-algorithm", "checksum"}
	for {
		name, filename, err := readPartHeader(r)
		if err != nil {
			return 0, err
		}
		if filename != "" {
			if name != "filename" {
				return 0, fmt.Errorf("wrong field name '%s' for file upload, expected 'filename'", name)
			}
			fields["filename"] = strings.TrimSpace(filename)
			return copyUntil(file, r, "--"+boundary+"--")
		}
		i := slices.Index(expected, name)
		if i < 0 {
			return 0, errFieldOrder
		}
		expected = expected[i+1:]
		if fields[name], err = readField(r, boundary); err != nil {
			return 0, err
		}
	}
}

const maxLine = 16 << 10 // bytes of a line in a multipart header or field

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if err == nil && len(line) > maxLine {
		err = bufio.ErrBufferFull
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func skipTo(r *bufio.Reader, delimiter string) error {
	for {
		line, err := readLine(r)
		if err != nil || line == delimiter {
			return err
		}
	}
}

var disposition = regexp.MustCompile(`^Content-Disposition: form-data; name="(.*?)"(?:; filename="([^"]+)")?`)

// readPartHeader reads the header of a part, of which Content-Disposition
// must be the first line.
func readPartHeader(r *bufio.Reader) (name, filename string, err error) {
	line, err := readLine(r)
	if err != nil {
		return "", "", err
	}
	m := disposition.FindStringSubmatch(line)
	if m == nil {
		return "", "", errFieldOrder
	}
	return m[1], m[2], skipTo(r, "")
}

func readField(r *bufio.Reader, boundary string) (string, error) {
	var lines []string
	for total := 0; total < maxPost; {
		line, err := readLine(r)
		if err != nil {
			return "", err
		}
		if line == "--"+boundary {
			return strings.TrimSpace(strings.Join(lines, "\n")), nil
		}
		lines = append(lines, line)
		total += len(line) + 1
	}
	return "", bufio.ErrBufferFull
}

// copyUntil copies r to w up to the delimiter and the line end before it, and
// discards the rest. A body that ends without it is an error.
func copyUntil(w io.Writer, r *bufio.Reader, delimiter string) (n int64, err error) {
	keep := len(delimiter) + 2 // with CR LF
	for {
		chunk, err := r.Peek(r.Size())
		if end := bytes.Index(chunk, []byte(delimiter)); end >= 0 {
			chunk = trimEOL(chunk[:end])
			written, err := w.Write(chunk)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			return n + int64(written), err
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, io.ErrUnexpectedEOF
		case err != nil:
			return n, err
		}
		written, err := w.Write(chunk[:len(chunk)-keep])
		n += int64(written)
		if err != nil {
			return n, err
		}
		if _, err := r.Discard(written); err != nil {
			return n, err
		}
	}
}

func trimEOL(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n := len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
	}
	return b
}

func postUpload(c *call) (any, error) {
	dest, err := c.srv.destination(c, uploadRefusals)
	if err != nil {
		return nil, err
	}
	if !c.srv.isOnline(c.node) {
		return nil, die("can't activate storage '%s' on node '%s': command '/usr/bin/ssh' failed: exit code 255", c.params["storage"], c.node)
	}
	// The request runs where it came in, which need not be the target node.
	return c.srv.fork(c, c.entry, "imgcopy", "", func(ctx context.Context, t *task) error {
		defer os.Remove(c.upload.path)
		return c.srv.importFile(ctx, t, c, dest)
	})
}

// destination is where a file of the call's storage, content and filename
// goes; words are how uploads and downloads refuse what a storage cannot do.
func (s *Server) destination(c *call, words refusals) (string, error) {
	store, err := s.storageOn(c.node, c.params["storage"])
	if err != nil {
		return "", err
	}
	if !store.files() {
		return "", die(words.noFiles, store.Type)
	}
	kind := c.params["content"]
	if words.contentFirst && !slices.Contains(store.Content, kind) {
		return "", die(words.noContent, store.Name, kind)
	}
	name := normalize(c.params["filename"])
	switch {
	case kind == "iso" && !fileKinds[kind].name.MatchString(name):
		return "", badParam("filename", "wrong file extension")
	case kind == "import" && !fileKinds[kind].name.MatchString(name):
		return "", badParam("filename", "invalid filename or wrong extension")
	case !slices.Contains(store.Content, kind):
		return "", die(words.noContent, store.Name, kind)
	case kind == "vztmpl":
		return "", die("no container templates are simulated")
	}
	return filepath.Join(s.fileDir(c.node, store, kind), name), nil
}

// refusals are words for what a storage cannot do.
type refusals struct {
	noFiles, noContent string
	contentFirst       bool // asked for before the name
}

var (
	uploadRefusals   = refusals{"can't upload to storage type '%s'", "storage '%s' does not support '%s' content", false}
	downloadRefusals = refusals{"can't upload to storage type '%s', not a file based storage!", "storage '%s' is not configured for content-type '%s'", true}
)

var unsafe = regexp.MustCompile(`[^a-zA-Z0-9_.-]`)

// normalize is what the server makes of a file name.
func normalize(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return unsafe.ReplaceAllString(name, "_")
}

func (s *Server) importFile(ctx context.Context, t *task, c *call, dest string) error {
	s.print(t, "starting file import from: %s", c.upload.path)
	if algorithm := c.params["checksum-algorithm"]; algorithm != "" {
		got, err := digestFile(algorithm, c.upload.path)
		if err != nil {
			return err
		}
		if want := c.params["checksum"]; !strings.EqualFold(got, want) {
			return die("checksum mismatch: got '%s' != expect '%s'", got, want)
		}
		s.print(t, "calculating checksum...OK, checksum verified")
	}
	if err := assertContent(c, dest, c.upload.path); err != nil {
		return err
	}
	s.print(t, "target node: %s", c.node)
	s.print(t, "target file: %s", dest)
	s.print(t, "file size is: %d", c.upload.size)
	if err := s.pause(ctx, s.copyTime(c.upload.size)); err != nil {
		return err
	}
	if !s.hasRoom(c, c.upload.size) {
		return die("import failed: cp: error writing '%s': No space left on device", dest)
	}
	if err := os.Rename(c.upload.path, dest); err != nil { // silently over what was there
		return die("import failed: %v", err)
	}
	s.print(t, "finished file import successfully")
	return nil
}

// hasRoom says whether a file of that size fits into the call's storage.
func (s *Server) hasRoom(c *call, size int64) bool {
	store, err := s.storage(c.params["storage"])
	if _, struck := s.strike(Fault{Kind: StorageFull, Storage: store.Name, Node: c.node}); struck || err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used(c.node, store)+size <= store.size()
}

func (s *Server) copyTime(size int64) time.Duration {
	return time.Duration(float64(s.cfg.Durations.CopyPerGiB) * float64(size) / (1 << 30))
}

func digestFile(algorithm, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := newHash[algorithm]()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// assertISO refuses a qcow2 image that names a backing file (its offset is in
// bytes 8 to 15).
func assertISO(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 16)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:4]) != "QFI\xfb" {
		return nil // too short or something else
	}
	if string(head[8:]) != "\x00\x00\x00\x00\x00\x00\x00\x00" {
		return die("invalid/untrusted image: qcow2 with backing file")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
