package services

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
)

// Media says which directory's ISO images are served over HTTP, for management
// controllers and boot loaders that want a URL; the zero Media is none. Images
// may hold secrets (a discovery ISO has the pull secret in it), and whoever
// reaches the address may read them.
type Media struct {
	Dir    string         // *.iso in it, and nothing else
	Listen netip.AddrPort // of one address of this host
}

// MediaStatus is what the media server says of itself.
type MediaStatus struct {
	Dir      string         `json:"dir"`
	Listen   netip.AddrPort `json:"listen"`
	Images   []string       `json:"images"`   // names in the URL
	Requests uint64         `json:"requests"` // for an image, parts of one included
	Refused  uint64         `json:"refused"`  // for anything else, or one too many
}

const (
	imageEnding    = ".iso"
	maxReaders     = 64            // images read at the same time
	longestReading = 6 * time.Hour // a slow controller, and no one that hangs for ever
)

// A mediaServer serves the images of one directory.
type mediaServer struct {
	Media
	root     *os.Root // links in it lead nowhere outside
	listener net.Listener
	reading  chan struct{}

	requests, refused atomic.Uint64
}

// openMedia opens directory and socket; nil for none.
func openMedia(m Media) (*mediaServer, error) {
	if m == (Media{}) {
		return nil, nil
	}
	if !m.Listen.IsValid() || m.Listen.Addr().IsUnspecified() {
		return nil, hint.With(fmt.Errorf("media address %q is not that of one host", m.Listen), "images may hold secrets: choose the address of this host in the machine network")
	}
	root, err := os.OpenRoot(m.Dir)
	if err != nil {
		return nil, fmt.Errorf("media directory: %w", err)
	}
	l, err := net.Listen("tcp", m.Listen.String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("media: %w", err), root.Close())
	}
	m.Listen = l.Addr().(*net.TCPAddr).AddrPort()
	return &mediaServer{Media: m, root: root, listener: l, reading: make(chan struct{}, maxReaders)}, nil
}

// serve answers until ctx ends. Readings under way are cut then.
func (m *mediaServer) serve(ctx context.Context) {
	mux := http.NewServeMux()
	mux.Handle("GET /{name}", m)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		WriteTimeout: longestReading, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	_ = server.Serve(m.listener)
}

func (m *mediaServer) close() {
	_ = m.listener.Close()
	_ = m.root.Close()
}

// ServeHTTP answers GET and HEAD for one image, with ranges and conditions
// (RFC 9110 sections 13 and 14).
func (m *mediaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case m.reading <- struct{}{}:
		defer func() { <-m.reading }()
	default:
		m.refused.Add(1)
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many readers", http.StatusServiceUnavailable)
		return
	}
	file, info, err := m.image(r.PathValue("name"))
	if err != nil {
		m.refused.Add(1)
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	m.requests.Add(1)
	w.Header().Set("Content-Type", "application/x-iso9660-image")
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(w, r, "", info.ModTime(), file)
}

// image opens a regular file of the directory, or of one that a link in it
// leads to without leaving it.
func (m *mediaServer) image(name string) (*os.File, fs.FileInfo, error) {
	if !isImage(name) {
		return nil, nil, fs.ErrNotExist
	}
	file, err := m.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would block
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = file.Close()
	}
	return file, info, err
}

func isImage(name string) bool {
	return strings.HasSuffix(name, imageEnding) && name[0] != '.' && !strings.ContainsAny(name, "/\\\x00")
}

func (m *mediaServer) status() *MediaStatus {
	if m == nil {
		return nil
	}
	st := &MediaStatus{Dir: m.Dir, Listen: m.Listen, Images: []string{}, Requests: m.requests.Load(), Refused: m.refused.Load()}
	entries, _ := fs.ReadDir(m.root.FS(), ".")
	for _, e := range entries {
		if file, _, err := m.image(e.Name()); err == nil {
			_ = file.Close()
			st.Images = append(st.Images, e.Name())
		}
	}
	return st
}
