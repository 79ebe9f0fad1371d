package assisted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const base = "/api/assisted-install/v2"

// maxBody bounds request bodies; an inventory of a large host is well below.
const maxBody = 4 << 20

// An apiError is the swagger definition "error".
type apiError struct {
	Kind   string `json:"kind"`
	ID     int    `json:"id"`
	Href   string `json:"href"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

func (e *apiError) Error() string { return e.Reason }

// failf is an error of the service's own logic.
func failf(status int, format string, args ...any) error {
	return &apiError{Kind: "Error", ID: status, Code: fmt.Sprint(status), Reason: fmt.Sprintf(format, args...)}
}

// A schemaError is what the layers before the service's logic answer: the
// swagger definition "infra_error". Its code differs from the HTTP status
// where go-openapi validates bodies (601 and above become 422).
type schemaError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *schemaError) Error() string { return e.Message }

func schemaf(code int, format string, args ...any) error {
	return &schemaError{code, fmt.Sprintf(format, args...)}
}

// A handler answers a request with the lock held; body is encoded before the
// lock is released. A []byte body is a file.
type handler func(r *http.Request) (status int, body any, err error)

type caller int

const (
	user  caller = 1 << iota // Authorization
	agent                    // X-Secret-Key
)

func (s *Service) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, e := range s.endpoints() {
		mux.Handle(e.method+" "+base+e.path, s.serve(e.callers, e.handle))
	}
	mux.HandleFunc("GET /byid/{infra_env_id}/{version}/x86_64/minimal.iso", s.serveImage)
	mux.HandleFunc("GET /bytoken/{token}/{version}/x86_64/minimal.iso", s.serveImage)
	return mux
}

type endpoint struct {
	method, path string
	callers      caller
	handle       handler
}

func (s *Service) endpoints() []endpoint {
	const (
		clusterID  = "/clusters/{cluster_id}"
		infraEnvID = "/infra-envs/{infra_env_id}"
		hostID     = infraEnvID + "/hosts/{host_id}"
	)
	return []endpoint{
		{"GET", "/openshift-versions", user, s.getVersions},
		{"GET", "/component-versions", user, s.getComponents},
		{"GET", "/events", user, s.getEvents},
		{"POST", "/clusters", user, s.postCluster},
		{"GET", "/clusters", user, s.getClusters},
		{"GET", clusterID, user | agent, s.getCluster},
		{"PATCH", clusterID, user, s.patchCluster},
		{"DELETE", clusterID, user, s.deleteCluster},
		{"POST", clusterID + "/actions/install", user, s.postInstall},
		{"POST", clusterID + "/actions/cancel", user, s.postCancel},
		{"GET", clusterID + "/credentials", user, s.getCredentials},
		{"GET", clusterID + "/downloads/credentials", user | agent, s.getCredentialsFile},
		{"GET", clusterID + "/downloads/files", user | agent, s.getClusterFile},
		{"GET", clusterID + "/monitored-operators", agent, s.getOperators},
		{"PUT", clusterID + "/monitored-operators", agent, s.putOperator},
		{"PUT", clusterID + "/progress", agent, s.putFinalizing},
		{"POST", clusterID + "/actions/complete-installation", agent, s.postComplete},
		{"POST", "/infra-envs", user, s.postInfraEnv},
		{"GET", "/infra-envs", user, s.getInfraEnvs},
		{"GET", infraEnvID, user | agent, s.getInfraEnv},
		{"DELETE", infraEnvID, user, s.deleteInfraEnv},
		{"GET", infraEnvID + "/downloads/image-url", user, s.getImageURL},
		{"GET", infraEnvID + "/hosts", user | agent, s.getHosts},
		{"POST", infraEnvID + "/hosts", agent, s.postHost},
		{"GET", hostID, user, s.getHost},
		{"PATCH", hostID, user, s.patchHost},
		{"DELETE", hostID, user, s.deleteHost},
		{"GET", hostID + "/instructions", agent, s.getInstructions},
		{"POST", hostID + "/instructions", agent, s.postReply},
		{"PUT", hostID + "/progress", agent, s.putProgress},
		{"GET", "/infra-env/{infra_env_id}/hosts/{host_id}/downloads/ignition", agent, s.getHostIgnition},
	}
}

// ServeHTTP answers the API under /api/assisted-install/v2 and serves images.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := &observer{ResponseWriter: w, status: http.StatusOK}
	if found, pattern := s.mux.Handler(r); pattern == "" {
		unrouted(seen, r, found)
	} else {
		s.mux.ServeHTTP(seen, r)
	}
	if s.config.OnRequest != nil {
		s.config.OnRequest(&Request{r.Method, r.URL.Path, seen.status})
	}
}

// An observer remembers the status that went by.
type observer struct {
	http.ResponseWriter
	status int
}

func (o *observer) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

// unrouted answers as go-openapi does when no operation matches; found knows
// whether the path or the method was wrong.
func unrouted(w http.ResponseWriter, r *http.Request, found http.Handler) {
	probe := &observer{ResponseWriter: discard{http.Header{}}}
	found.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		writeError(w, schemaf(probe.status, "method %s is not allowed", r.Method))
		return
	}
	writeError(w, schemaf(http.StatusNotFound, "path %s was not found", r.URL.Path))
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func (s *Service) serve(callers caller, handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, body, err := s.answer(callers, handle, r)
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write(body) // an error means that the client went away
	})
}

func (s *Service) answer(callers caller, handle handler, r *http.Request) (int, []byte, error) {
	if err := s.authenticate(callers, r); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status, body, err := handle(r)
	if err != nil || body == nil {
		return status, nil, err
	}
	if file, ok := body.([]byte); ok {
		return status, file, nil
	}
	encoded, err := encode(body)
	return status, encoded, err
}

// encode leaves <, > and & alone, as go-openapi does.
func encode(body any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(body)
	return b.Bytes(), err
}

func (s *Service) authenticate(callers caller, r *http.Request) error {
	switch {
	case s.config.Token == "":
		return nil
	case callers&user != 0 && r.Header.Get("Authorization") == "Bearer "+s.config.Token:
		return nil
	case callers&agent != 0 && r.Header.Get("X-Secret-Key") == s.agentToken:
		return nil
	}
	return schemaf(http.StatusUnauthorized, "unauthenticated for invalid credentials")
}

func writeError(w http.ResponseWriter, err error) {
	status, body := http.StatusInternalServerError, err
	var api *apiError
	var schema *schemaError
	switch {
	case errors.As(err, &api):
		status, body = api.ID, api
	case errors.As(err, &schema):
		status, body = schemaStatus(schema.Code), schema
	default:
		body = failf(status, "%v", err)
	}
	encoded, err := encode(body)
	if err != nil {
		panic("assisted: an error does not encode: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(encoded) // an error means that the client went away
}

func schemaStatus(code int) int {
	if code >= 600 {
		return http.StatusUnprocessableEntity
	}
	return code
}

// decode reads a body into params and refuses fields that params lacks, as
// the service does (ENABLE_REJECT_UNKNOWN_FIELDS).
func decode(r *http.Request, name string, params any) error {
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); media != "application/json" {
		return schemaf(http.StatusUnsupportedMediaType,
			"unsupported media type %q, only [application/json] are allowed", media)
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(params)
	if err == nil && d.More() {
		err = errors.New("more than one document")
	}
	if errors.Is(err, io.EOF) {
		return schemaf(602, "%s in body is required", name)
	}
	if err != nil {
		return schemaf(http.StatusBadRequest, "parsing %s body from %q failed, because %v", name, "", err)
	}
	return nil
}

// required is the answer to a body without one of its required fields.
func required(fields map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !fields[name] {
			return schemaf(602, "%s in body is required", name)
		}
	}
	return nil
}

func oneOf(name, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return schemaf(606, "%s in body should be one of [%s]", name, strings.Join(allowed, " "))
}
