package assisted

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/slipway-project/slipway/internal/tlspin"
)

const (
	apiBase   = "/api/assisted-install/v2"
	callLimit = 30 * time.Second
	bodyLimit = 32 << 20 // of an answer; a cluster with hosts is about 300 kB
	attempts  = 5        // of a GET
	firstWait = time.Second
)

// A call is one request to the API.
type call struct {
	method string
	path   string   // below apiBase, with query
	body   any      // encoded as JSON, nil for none
	secret []string // what must not come back in an error
}

// do makes the call and decodes the answer into out, unless that is nil; a
// *[]byte takes the answer as it is. GETs are repeated while the service is
// out of order for a moment.
func (e *Engine) do(ctx context.Context, c call, out any) error {
	token, err := e.token.Reveal()
	if err != nil {
		return err
	}
	c.secret = append(c.secret, token)
	answer, err := e.repeat(ctx, c, token)
	if err != nil || out == nil {
		return err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = answer
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: answer is not what an assisted service sends: %w", c.method, c.path, err)
	}
	return nil
}

func (e *Engine) repeat(ctx context.Context, c call, token string) ([]byte, error) {
	wait := firstWait
	for attempt := 1; ; attempt++ {
		answer, err := e.once(ctx, c, token)
		if err == nil || c.method != http.MethodGet || attempt == attempts || !worthRepeating(err) || ctx.Err() != nil {
			return answer, err
		}
		if stopped := e.pace.Wait(ctx, wait); stopped != nil {
			return nil, errors.Join(stopped, err)
		}
		wait *= 2
	}
}

func (e *Engine) once(ctx context.Context, c call, token string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.pace.Budget(callLimit), errSlow)
	defer cancel()
	req, err := e.request(ctx, c, token)
	if err != nil {
		return nil, err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, unanswered(ctx, c, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	switch {
	case err != nil:
		return nil, unanswered(ctx, c, err)
	case len(answer) > bodyLimit:
		return nil, fmt.Errorf("%s %s: answer is larger than %d MiB", c.method, c.path, bodyLimit>>20)
	case resp.StatusCode/100 != 2:
		return nil, refusal(c, resp.StatusCode, answer)
	}
	return answer, nil
}

func (e *Engine) request(ctx context.Context, c call, token string) (*http.Request, error) {
	var body io.Reader
	if c.body != nil {
		encoded, err := json.Marshal(c.body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", c.method, c.path, err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, e.endpoint+apiBase+c.path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

var errSlow = errors.New("no answer in time")

// unanswered says why there is no answer: the certificate, the end of ctx, or
// the network.
func unanswered(ctx context.Context, c call, err error) error {
	var wrapped *url.Error // its own words repeat method and path
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if untrusted := tlspin.Explain(err); untrusted != nil {
		return fmt.Errorf("%s %s: %w", c.method, c.path, untrusted)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &silence{c.method, c.path, redacted(err, c.secret)}
}

// A silence is a call without an answer.
type silence struct {
	method, path string
	err          error
}

func (s *silence) Error() string { return fmt.Sprintf("%s %s: %v", s.method, s.path, s.err) }
func (s *silence) Unwrap() error { return s.err }

// Transient reports that asking again may help.
func (s *silence) Transient() bool { return true }
