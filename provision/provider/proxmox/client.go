package proxmox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	pve "github.com/Telmate/proxmox-api-go/proxmox"

	"github.com/slipway-project/slipway/internal/pace"
)

const (
	apiPath    = "/api2/json"
	lockBudget = 2 * time.Minute
	lostTries  = 3 // of a call that may be repeated and was not answered
)

// client speaks the API. It is safe for concurrent use.
type client struct {
	api  *pve.Client
	http *http.Client
	base string // https://pve.lan:8006/api2/json
	host string // pve.lan:8006, for people
	pace pace.Pace
	wire *transport

	windows windows // of changes
	watches watches // of tasks
}

func newClient(endpoint *url.URL, base http.RoundTripper, token func() (apiToken, error), p pace.Pace) (*client, error) {
	wire := &transport{base: base, token: token, pace: p}
	hc := &http.Client{
		Transport:     wire,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c := &client{http: hc, base: endpoint.String() + apiPath, host: endpoint.Host, pace: p, wire: wire}
	api, err := pve.NewClient(c.base, hc, "", nil, "", 0, false)
	c.api = api
	return c, err
}

// idle is how many connections to the endpoint are kept: it answers for every
// node, and each new one costs a handshake.
const idle = 8 * workers

// newTransport returns the connection pool behind a client. PVE speaks
// HTTP/1.1 only.
func newTransport(trust anchors) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     trust.tlsConfig(),
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: idle,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// call runs do and finds out what became of its request.
func (c *client) call(ctx context.Context, method, path string, do func(context.Context) error) error {
	var none failure
	err := do(context.WithValue(ctx, failureKey{}, &none))
	path, _, _ = strings.Cut(path, "?")
	if none.err != nil {
		return c.unanswered(ctx, method, path, none.err)
	}
	if err != nil {
		return refused(method, path, err)
	}
	return nil
}

func (c *client) unanswered(ctx context.Context, method, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", method, path, context.Cause(ctx))
	}
	var local unsent
	if errors.As(err, &local) {
		return local.error
	}
	if untrusted(err) {
		return err // nothing was sent either
	}
	return &Error{Kind: Unreachable, Method: method, Path: path, Text: c.host + ": " + oneLine(err.Error()), cause: err}
}

// get decodes the data of path into out.
func (c *client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, func(ctx context.Context) error {
		root, err := c.api.GetItemList(ctx, path)
		if err != nil {
			return err
		}
		return remarshal(root["data"], out)
	})
}

func remarshal(from, to any) error {
	raw, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, to)
}

// post sends params and returns the data of the answer when it is a string: a
// UPID for whatever is done by a task.
func (c *client) post(ctx context.Context, path string, params map[string]any) (data string, err error) {
	err = c.call(ctx, http.MethodPost, path, func(ctx context.Context) error {
		body, err := c.api.CreateItemReturnStatus(ctx, params, path)
		if err != nil {
			return err
		}
		data, err = stringData([]byte(body))
		return err
	})
	return data, err
}

func (c *client) put(ctx context.Context, path string, params map[string]any) error {
	return c.call(ctx, http.MethodPut, path, func(ctx context.Context) error {
		return c.api.Put(ctx, params, path)
	})
}

// delete returns the UPID of the task; the library's calls drop it or wait
// for it. PVE refuses a DELETE with a body.
func (c *client) delete(ctx context.Context, path string, query url.Values) (data string, err error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	err = c.call(ctx, http.MethodDelete, path, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodDelete, target, nil)
		if err != nil {
			return err
		}
		data, err = c.send(req)
		return err
	})
	return data, err
}

// send does a request of our own and returns its string data. It must run
// inside call.
func (c *client) send(req *http.Request) (string, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode/100 != 2 {
		return "", apiError(resp.StatusCode, body)
	}
	return stringData(body)
}

// apiError reads a refusal that tidy has shaped as the library would.
func apiError(status int, body []byte) error {
	var said struct {
		Message string         `json:"message"`
		Errors  map[string]any `json:"errors"`
	}
	err := json.Unmarshal(body, &said)
	return errors.Join(&pve.ApiError{Code: fmt.Sprint(status), Message: said.Message, Errors: said.Errors}, err)
}

func stringData(body []byte) (string, error) {
	var reply struct {
		Data text `json:"data"`
	}
	err := json.Unmarshal(body, &reply)
	return string(reply.Data), err
}

// patiently repeats do, a change in a place, while somebody else holds a lock
// that it needs, for at most two minutes, with jitter so that parallel calls
// do not meet again. There are no more changes in a place than it bears.
func (c *client) patiently(ctx context.Context, place string, do func() error) error {
	deadline := time.Now().Add(c.pace.Budget(lockBudget))
	for wait := time.Second; ; wait = min(2*wait, 10*time.Second) {
		err := c.within(ctx, place, do)
		if !errors.Is(err, Locked) && !errors.Is(err, LockTimeout) || time.Now().After(deadline) {
			return err
		}
		jittered := wait/2 + rand.N(wait)
		if stopped := c.pace.Wait(ctx, jittered); stopped != nil {
			return errors.Join(stopped, err)
		}
	}
}

// within does a change when its place has room for it.
func (c *client) within(ctx context.Context, place string, do func() error) error {
	window := c.windows.at(place)
	round, err := window.enter(ctx)
	if err != nil {
		return err
	}
	err = do()
	window.leave(round, errors.Is(err, LockTimeout))
	return err
}

// surely is patiently for calls that may be carried out twice: it repeats
// them when no answer came.
func (c *client) surely(ctx context.Context, place string, do func() error) error {
	for try := 1; ; try++ {
		err := c.patiently(ctx, place, do)
		if !lost(err) || try == lostTries || ctx.Err() != nil {
			return err
		}
		if stopped := c.pace.Wait(ctx, time.Second); stopped != nil {
			return errors.Join(stopped, err)
		}
	}
}
