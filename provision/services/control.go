package services

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/loadbalancer"
)

// StatusVersion is the version of [Status] as JSON.
const StatusVersion = 1

// A Status is what a serve process says of itself: GET /status on
// <run directory>/serve.sock.
type Status struct {
	Version  int            `json:"version"`
	PID      int            `json:"pid"`
	Owner    string         `json:"owner"` // full cluster name
	Started  time.Time      `json:"started"`
	Serial   uint64         `json:"serial"`            // of the document served
	Refused  uint64         `json:"refused,omitempty"` // of the document kept out last
	DNS      DNSStatus      `json:"dns"`
	Balancer BalancerStatus `json:"balancer"`
	Media    *MediaStatus   `json:"media,omitempty"`
	Error    string         `json:"error,omitempty"` // what is wrong now: the document, haproxy
}

// DNSStatus is what the DNS server says of itself.
type DNSStatus struct {
	Listen  []netip.AddrPort  `json:"listen"`
	Stats   dnsserver.Stats   `json:"stats"`
	Queries []dnsserver.Query `json:"queries"` // the last ones, oldest first
}

// BalancerStatus is what the load balancer says of itself.
type BalancerStatus struct {
	Name string `json:"name"` // haproxy 2.6.12, embedded
	loadbalancer.Stats
	Restarts int      `json:"restarts"` // after haproxy died
	Log      []string `json:"log"`      // haproxy's last lines, oldest first
}

func socketPath(runDir string) string { return filepath.Join(runDir, "serve.sock") }

// listen opens the control socket; what lies there is of an earlier process,
// for we hold the lock of the directory.
func (s *server) listen() (net.Listener, error) {
	path := socketPath(s.o.RunDir)
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return l, nil
}

// control answers on the socket until ctx ends, and removes it.
func (s *server) control(ctx context.Context, l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.answerStatus)
	mux.HandleFunc("GET /metrics", s.answerMetrics)
	mux.HandleFunc("POST /apply", s.answerApply)
	mux.HandleFunc("POST /stop", s.answerStop)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second}
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	server.Serve(l)
	s.stop() // if the socket broke, there is no way to ask us any more
	<-ended
}

func (s *server) answerStatus(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s.status(r.Context()))
}

// answerMetrics answers with the counters of DNS and balancer in OpenMetrics
// text.
func (s *server) answerMetrics(w http.ResponseWriter, r *http.Request) {
	var dns bytes.Buffer
	s.dns.WriteMetrics(&dns)
	st, err := s.balancing().Stats(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
	w.Write(bytes.TrimSuffix(dns.Bytes(), []byte("# EOF\n")))
	st.WriteMetrics(w)
}

// answerApply serves a document that somebody sends, and keeps it as the one
// that is followed. What cannot be served changes nothing.
func (s *server) answerApply(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxDocument+1))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	d, err := parse(b)
	if err == nil {
		err = s.take(context.WithoutCancel(r.Context()), d)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	fmt.Fprintln(w, d.Serial)
}

// take serves d and writes it to the file that is followed.
func (s *server) take(ctx context.Context, d Document) error {
	if d.Owner != s.o.Owner {
		return fmt.Errorf("services document is of %s, not of %s", d.Owner, s.o.Owner)
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.apply(ctx, d); err != nil {
		return err
	}
	s.settle(d)
	if err := Write(s.o.Document, d); err != nil {
		return err
	}
	s.seen, _ = os.Stat(s.o.Document)
	return nil
}

func (s *server) answerStop(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusAccepted)
	s.stop()
}

func (s *server) status(ctx context.Context) Status {
	b := s.balancing()
	stats, err := b.Stats(ctx)
	st := Status{
		Version: StatusVersion, PID: os.Getpid(), Owner: s.o.Owner, Started: s.started,
		DNS:      DNSStatus{s.dns.Addrs(), s.dns.Stats(), s.dns.Queries()},
		Balancer: BalancerStatus{b.Name(), stats, b.Restarts(), b.Logs()},
		Media:    s.media.status(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Serial, st.Refused = s.current.Serial, s.refused
	if err := errors.Join(s.fault, b.Err(), err); err != nil {
		st.Error = err.Error()
	}
	return st
}

// Ask returns the status of the serve process that has the run directory.
func Ask(ctx context.Context, runDir string) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	st, err := ask(ctx, socketPath(runDir))
	if err != nil {
		return Status{}, fmt.Errorf("ask slipway serve: %w", err)
	}
	return st, nil
}

func ask(ctx context.Context, socket string) (Status, error) {
	b, err := exchange(ctx, socket, http.MethodGet, "/status", nil)
	if err != nil {
		return Status{}, err
	}
	var st Status
	if err := json.Unmarshal(b, &st); err != nil {
		return Status{}, err
	}
	if st.Version != StatusVersion {
		return Status{}, fmt.Errorf("status has version %d, want %d", st.Version, StatusVersion)
	}
	return st, nil
}

// maxStatus bounds what is read of a status: a document in other words.
const maxStatus = 4 * maxDocument

// exchange makes one request on a control socket. A refusal is an error that
// says what serve said.
func exchange(ctx context.Context, socket, method, path string, body []byte) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://serve"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err == nil && resp.StatusCode/100 != 2 {
		err = errors.New(strings.TrimSpace(string(b)))
	}
	return b, err
}

// applyTime is what serve gets for a change: haproxy's check, its reload, the
// way back.
const applyTime = time.Minute

// Apply has the serve process that has the run directory serve d from now on.
// When it cannot, it goes on as before, and the error says why.
func Apply(ctx context.Context, runDir string, d Document) error {
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("services document: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, applyTime)
	defer cancel()
	if _, err := exchange(ctx, socketPath(runDir), http.MethodPost, "/apply", b); err != nil {
		return fmt.Errorf("slipway serve keeps the document out: %w", err)
	}
	return nil
}

// looked is within what time a serve process has noticed a new document.
const looked = 2 * time.Second

// WaitServed waits until the document with the serial is served. A document
// that was kept out is an error as soon as the verdict cannot be on an earlier
// file with that serial; else ctx ends the wait.
func WaitServed(ctx context.Context, runDir string, serial uint64) error {
	begun := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := Ask(ctx, runDir)
		if err == nil && st.Serial == serial {
			return nil
		}
		if err == nil && st.Refused == serial && time.Since(begun) > looked {
			return fmt.Errorf("services document %d is kept out: %s", serial, st.Error)
		}
		if err == nil {
			err = fmt.Errorf("document %d is served, not %d: %s", st.Serial, serial, st.Error)
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
