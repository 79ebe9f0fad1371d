package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

// A Status is what a supervisor says of itself and its machines.
type Status struct {
	PID    int              `json:"pid"`
	Guests map[string]Guest `json:"guests"`          // by id; what was never on is not there
	Enter  []string         `json:"enter,omitempty"` // the way into the private network
}

// A Guest is a machine as its supervisor sees it.
type Guest struct {
	On   bool   `json:"on"`
	PID  int    `json:"pid,omitempty"`
	Note string `json:"note,omitempty"` // what happened to it, for people
}

// An order is what a supervisor is asked to do with one machine.
type order struct {
	ID     string     `json:"id"`
	Accel  qemu.Accel `json:"accel,omitempty"`
	Limits Limits     `json:"limits,omitzero"`
	Media  string     `json:"media,omitempty"` // path, "" to eject
}

func socketPath(runDir string) string { return filepath.Join(runDir, "control.sock") }

// ask sends one request to the supervisor at the socket and reads the answer.
func ask(ctx context.Context, socket, method, path string, in, out any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case reply.StatusCode != http.StatusOK:
		return errors.New(strings.TrimSpace(string(text)))
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

// handler answers what [ask] asks.
func (s *supervisor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s.status())
	})
	mux.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) { s.stop() })
	mux.HandleFunc("POST /net", func(w http.ResponseWriter, r *http.Request) {
		var n provider.Net
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostRequest)).Decode(&n)
		var published []provider.Published
		if err == nil {
			published, err = s.net(r.Context(), n)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		_ = json.NewEncoder(w).Encode(published)
	})
	for path, do := range map[string]func(context.Context, order) error{"/on": s.on, "/off": s.off, "/media": s.media, "/forget": s.forget} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var o order
			err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&o)
			if err == nil && !idShape.MatchString(o.ID) {
				err = fmt.Errorf("%q is not the id of a machine", o.ID)
			}
			if err == nil {
				err = do(r.Context(), o)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		})
	}
	return mux
}
