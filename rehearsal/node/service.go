package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// apiTimeout is how long a client waits for one answer.
const (
	apiTimeout = 30 * time.Second
	maxReply   = 16 << 20
	apiBase    = "/api/assisted-install/v2"
)

// A service is the installer service as hosts see it (agentAuth of its
// swagger.yaml).
type service struct {
	Reporter
	http *http.Client
}

func (s *system) service(r Reporter) *service {
	r.URL = strings.TrimSuffix(r.URL, "/")
	return &service{r, s.client(&http.Transport{})}
}

// client makes t dial through the host's own network. Its idle connections end
// with the system.
func (s *system) client(t *http.Transport) *http.Client {
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return s.net.dialWithin(ctx, s.host.patience(apiTimeout), network, address)
	}
	t.TLSHandshakeTimeout = apiTimeout
	s.mu.Lock()
	s.transports = append(s.transports, t)
	s.mu.Unlock()
	return &http.Client{Transport: t, Timeout: max(minAnswer, s.host.patience(apiTimeout))}
}

// A refusal is an answer that is no success.
type refusal struct {
	status int
	reason string
}

func (e *refusal) Error() string { return fmt.Sprintf("%d %s", e.status, e.reason) }

// call sends in as JSON, unless it is nil, and reads the answer into out,
// unless that is nil.
func (s *service) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.URL+apiBase+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if in == nil {
		request.Body, request.ContentLength = http.NoBody, 0
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	if s.Token != "" {
		request.Header.Set("X-Secret-Key", s.Token)
	}
	return exchange(s.http, request, out)
}

// exchange sends request and decodes an answer of 2xx into out.
func exchange(client *http.Client, request *http.Request, out any) error {
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(io.LimitReader(reply.Body, maxReply))
	if err != nil {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL, err)
	}
	if reply.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL, &refusal{reply.StatusCode, reason(data)})
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL, err)
	}
	return nil
}

// reason is the sentence in an error's body, in whichever of its two forms or
// as the Kubernetes API writes it.
func reason(data []byte) string {
	var body struct{ Reason, Message string }
	json.Unmarshal(data, &body)
	text := body.Message
	if text == "" {
		text = body.Reason
	}
	const most = 300
	return text[:min(len(text), most)]
}

func (s *service) hostPath(id string) string {
	return "/infra-envs/" + s.InfraEnvID + "/hosts/" + id
}

// progress reports that a host has reached a stage.
func (s *service) progress(ctx context.Context, id, stage, info string) error {
	return s.call(ctx, http.MethodPut, s.hostPath(id)+"/progress", map[string]string{"current_stage": stage, "progress_info": info}, nil)
}
