package proxmox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-project/slipway/internal/pace"
)

const (
	workers   = 3                // pvedaemon workers of a node, each blocked by one call
	attempts  = 5                // of a GET
	firstWait = time.Second / 4  // between them, doubling
	callLimit = time.Minute      // pveproxy itself gives up after 30 s
	bodyLimit = 64 * 1024 * 1024 // of an answer; ten thousand guests are about 5 MiB
)

// transport carries every request: it adds the token, keeps calls to a node
// few, repeats GETs that a recycled worker dropped, and answers in one shape.
//
// It never returns an error, since proxmox-api-go would sleep on one without
// regard to the context. A call without an answer is answered 599 and the
// error is kept in the failure that the caller put into the context.
type transport struct {
	base  http.RoundTripper
	token func() (apiToken, error)
	pace  pace.Pace

	mu    sync.Mutex
	slots map[string]chan struct{}
	skew  time.Duration // by which the host's clock is ahead of ours, as last seen
}

var errSlow = errors.New("no answer in time")

// A failure keeps why a request had no answer.
type failure struct{ err error }

type failureKey struct{}

// unsent is why a request never left.
type unsent struct{ error }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.carry(req)
	if err == nil {
		return resp, nil
	}
	if f, ok := req.Context().Value(failureKey{}).(*failure); ok {
		f.err = err
	}
	return answer(req, 599, "599 no answer", plain(err.Error())), nil
}

func (t *transport) carry(req *http.Request) (*http.Response, error) {
	token, err := t.token()
	if err != nil {
		closeBody(req)
		return nil, unsent{err}
	}
	signed := req.Clone(req.Context())
	signed.Header.Set("Authorization", "PVEAPIToken="+token.id+"="+token.secret)
	if signed.Body != nil && signed.Header.Get("Content-Type") == "" {
		signed.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := t.repeat(signed)
	if err != nil {
		return nil, err
	}
	return tidy(resp, token)
}

// repeat tries a GET several times and anything else once.
func (t *transport) repeat(req *http.Request) (resp *http.Response, err error) {
	wait := firstWait
	for range attempts {
		resp, err = t.once(req)
		if req.Method != http.MethodGet || !worthRepeating(resp, err) || req.Context().Err() != nil {
			break
		}
		if err := t.pace.Wait(req.Context(), wait); err != nil {
			return nil, err
		}
		wait *= 2
	}
	return resp, err
}

func worthRepeating(resp *http.Response, err error) bool {
	var dial *net.OpError
	switch {
	case err == nil:
		return statusKinds[resp.StatusCode] == Unavailable
	case untrusted(err), errors.Is(err, errSlow):
		return false
	case errors.As(err, &dial) && dial.Op == "dial":
		return false // nobody listens: a caller that waits asks again itself
	}
	return true
}

// once sends the request and reads the whole answer.
func (t *transport) once(req *http.Request) (*http.Response, error) {
	ctx, done, err := t.admit(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	defer done()
	sent := time.Now()
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, because(ctx, err)
	}
	defer resp.Body.Close()
	t.compareClocks(sent, time.Now(), resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return nil, because(ctx, fmt.Errorf("read answer: %w", err))
	}
	return answer(req, resp.StatusCode, resp.Status, body), nil
}

// compareClocks takes the Date of an answer, which has whole seconds and is of
// some time between sent and received.
func (t *transport) compareClocks(sent, received time.Time, resp *http.Response) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	skew := time.Duration(0)
	if ahead := date.Sub(received); ahead > 0 {
		skew = ahead
	} else if behind := sent.Sub(date) - time.Second; behind > 0 {
		skew = -behind
	}
	t.mu.Lock()
	t.skew = skew
	t.mu.Unlock()
}

func (t *transport) clockSkew() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.skew
}

// admit waits for a free worker and bounds the call. Uploads are served by
// the proxy itself, take as long as they take, and are bounded by their sender.
func (t *transport) admit(req *http.Request) (context.Context, func(), error) {
	if strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/") {
		return req.Context(), func() {}, nil
	}
	slot := t.slot(workplace(req.URL))
	select {
	case slot <- struct{}{}:
	case <-req.Context().Done():
		return nil, nil, context.Cause(req.Context())
	}
	limit := t.pace.Budget(callLimit)
	ctx, cancel := context.WithTimeoutCause(req.Context(), limit, fmt.Errorf("%w: %s", errSlow, limit))
	return ctx, func() { cancel(); <-slot }, nil
}

func (t *transport) slot(place string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots == nil {
		t.slots = make(map[string]chan struct{})
	}
	if t.slots[place] == nil {
		t.slots[place] = make(chan struct{}, workers)
	}
	return t.slots[place]
}

// workplace is whose workers a call occupies: those of the node in its path,
// to which the proxy passes it on, or those of the host it is sent to.
func workplace(u *url.URL) string {
	rest, ok := strings.CutPrefix(u.Path, apiPath+"/nodes/")
	if node, _, below := strings.Cut(rest, "/"); ok && below {
		return node
	}
	return u.Host
}

// because prefers why ctx ended to the transport's words for it.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// tidy gives every answer the shape that proxmox-api-go expects: a JSON
// object, with a message when it is a refusal.
func tidy(resp *http.Response, token apiToken) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	body = bytes.ReplaceAll(body, []byte(token.secret), []byte("(redacted)"))
	if resp.StatusCode/100 != 2 {
		body = refusal(resp, body)
	} else if !json.Valid(body) || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, fmt.Errorf("answer to %s is no JSON object: is this a Proxmox VE API?", resp.Request.URL.Path)
	}
	return answer(resp.Request, resp.StatusCode, resp.Status, body), nil
}

// refusal takes the message from the body or, for servers before
// libpve-http-server 5.2 (January 2025), from the reason phrase.
func refusal(resp *http.Response, body []byte) []byte {
	var said struct {
		Message text            `json:"message"`
		Errors  map[string]text `json:"errors"`
	}
	if json.Unmarshal(body, &said) != nil || said.Message == "" {
		_, phrase, _ := strings.Cut(resp.Status, " ")
		said.Message = text(phrase)
	}
	clean := map[string]any{"data": nil, "message": said.Message}
	if said.Errors != nil {
		clean["errors"] = said.Errors
	}
	encoded, _ := json.Marshal(clean) // strings only
	return encoded
}

func plain(message string) []byte {
	encoded, _ := json.Marshal(map[string]any{"data": nil, "message": message})
	return encoded
}

func answer(req *http.Request, code int, status string, body []byte) *http.Response {
	return &http.Response{
		Status: status, StatusCode: code, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(slices.Clone(body))),
		ContentLength: int64(len(body)),
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
