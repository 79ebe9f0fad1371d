package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// socket is the name of the control socket in a World's directory.
const socket = "world.sock"

// startControl answers on the control socket until Close.
//
//	GET  /residue?exclude=PID&path=PATH   what is left, see World.Residue
//	GET  /nodes                           the simulated hosts
//	GET  /requests                        see World.Requests
//	GET  /faults                          see World.Faults
//	POST /faults                          injects the fault that the body is
//	POST /stop                            ends the World
func (w *World) startControl() error {
	l, err := net.Listen("unix", w.path(socket))
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /residue", w.getResidue)
	mux.HandleFunc("GET /nodes", func(rw http.ResponseWriter, _ *http.Request) { reply(rw, w.Hosts()) })
	mux.HandleFunc("GET /requests", func(rw http.ResponseWriter, _ *http.Request) { reply(rw, w.Requests()) })
	mux.HandleFunc("GET /faults", func(rw http.ResponseWriter, _ *http.Request) { reply(rw, w.Faults()) })
	mux.HandleFunc("POST /faults", w.postFault)
	mux.HandleFunc("POST /stop", func(rw http.ResponseWriter, _ *http.Request) {
		reply(rw, nil)
		http.NewResponseController(rw).Flush() // before the server goes too
		w.end(errClosed)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	w.serve("control socket", func() error { return server.Serve(l) })
	w.later(server.Close)
	return nil
}

func (w *World) getResidue(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var exclude []int
	for _, text := range query["exclude"] {
		pid, err := strconv.Atoi(text)
		if err != nil {
			http.Error(rw, fmt.Sprintf("exclude %q: not a process id", text), http.StatusBadRequest)
			return
		}
		exclude = append(exclude, pid)
	}
	residue, err := w.Residue(exclude, query["path"])
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(rw, residue)
}

func (w *World) postFault(rw http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, 4096))
	if err == nil {
		err = w.Inject(strings.TrimSpace(string(text)))
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	reply(rw, nil)
}

func reply(rw http.ResponseWriter, value any) {
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(value)
}

// Control speaks to a World that runs in another process. It is safe for
// concurrent use.
type Control struct{ client *http.Client }

// NewControl returns the control of the World whose directory is dir.
func NewControl(dir string) *Control {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, socket))
	}
	return &Control{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Residue asks for [World.Residue].
func (c *Control) Residue(ctx context.Context, exclude []int, paths []string) ([]string, error) {
	query := url.Values{"path": paths}
	for _, pid := range exclude {
		query.Add("exclude", strconv.Itoa(pid))
	}
	var residue []string
	err := c.call(ctx, http.MethodGet, "/residue?"+query.Encode(), "", &residue)
	return residue, err
}

// Hosts asks for [World.Hosts].
func (c *Control) Hosts(ctx context.Context) ([]Host, error) {
	var hosts []Host
	err := c.call(ctx, http.MethodGet, "/nodes", "", &hosts)
	return hosts, err
}

// Requests asks for [World.Requests].
func (c *Control) Requests(ctx context.Context) (map[string]map[string]map[string]int, error) {
	var counts map[string]map[string]map[string]int
	err := c.call(ctx, http.MethodGet, "/requests", "", &counts)
	return counts, err
}

// Faults asks for [World.Faults].
func (c *Control) Faults(ctx context.Context) ([]Fault, error) {
	var faults []Fault
	err := c.call(ctx, http.MethodGet, "/faults", "", &faults)
	return faults, err
}

// Inject asks for [World.Inject].
func (c *Control) Inject(ctx context.Context, fault string) error {
	return c.call(ctx, http.MethodPost, "/faults", fault, new(any))
}

// Stop asks the World to end; it does so after it has answered.
func (c *Control) Stop(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/stop", "", new(any))
}

func (c *Control) call(ctx context.Context, method, path, body string, result any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://world"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return fmt.Errorf("ask the world: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		return errors.New("ask the world: " + strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(answer.Body).Decode(result); err != nil {
		return fmt.Errorf("ask the world: %w", err)
	}
	return nil
}
