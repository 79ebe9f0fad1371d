package node

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A query is what a request to the API asks for.
type query struct {
	verb            string // get, list, create, update, patch, delete
	resource        *resource
	namespace, name string
	sub             string // status, approval
}

// parsePath finds the resource; ok is false for paths that name none.
func parsePath(path string) (q query, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var group, version string
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return q, false
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		q.namespace, parts = parts[1], parts[2:]
	}
	i := slices.IndexFunc(resources, func(r *resource) bool {
		return r.group == group && r.version == version && r.plural == parts[0]
	})
	if i < 0 || len(parts) > 3 {
		return q, false
	}
	q.resource = resources[i]
	parts = append(parts, "", "")
	q.name, q.sub = parts[1], parts[2]
	if q.resource.namespaced != (q.namespace != "") && (q.name != "" || !q.resource.namespaced) {
		return q, false
	}
	return q, true
}

func parseQuery(r *http.Request) (q query, err error) {
	q, ok := parsePath(r.URL.Path)
	if !ok {
		return q, failure(http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	}
	verbs := map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodDelete: "delete", http.MethodPatch: "patch"}
	q.verb = verbs[r.Method]
	if q.verb == "get" && q.name == "" {
		q.verb = "list"
	}
	return q, nil
}

// rest answers the API's resources.
func (c *cluster) rest(r *http.Request) (code int, body any, err error) {
	u, err := c.authenticate(r)
	if err != nil {
		return 0, nil, err
	}
	q, err := parseQuery(r)
	if err != nil {
		return 0, nil, err
	}
	if err := permit(u, q); err != nil {
		return 0, nil, err
	}
	if (q.verb == "create" || q.verb == "update") && q.resource == nodes {
		return c.writeNode(u, q, r)
	}
	switch {
	case q.verb == "list":
		return c.list(q, r.URL.Query())
	case q.verb == "get" && q.sub == "":
		return c.get(q)
	case q.verb == "create" && q.name == "" && q.resource == requests:
		return c.createRequest(u, r)
	case q.verb == "update" && q.sub == "approval" && q.resource == requests:
		return c.decideRequest(q, r)
	case q.verb == "patch" && q.sub == "" && q.resource == nodes:
		return c.patchNode(u, q, r)
	}
	return 0, nil, failure(http.StatusMethodNotAllowed, "MethodNotAllowed", "the server does not allow this method on the requested resource").about(q.resource, q.name)
}

func (c *cluster) get(q query) (int, any, error) {
	o, ok := c.store.get(q.resource, q.namespace, q.name)
	if !ok {
		return 0, nil, notFound(q.resource, q.name)
	}
	return http.StatusOK, o, nil
}

// A page is a list object.
type page struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   pageMeta `json:"metadata"`
	Items      []object `json:"items"`
}

type pageMeta struct {
	Version   string `json:"resourceVersion"`
	Continue  string `json:"continue,omitempty"`
	Remaining int    `json:"remainingItemCount,omitempty"`
}

// list answers whole lists and pages of them. What would narrow or watch the
// list is refused rather than ignored.
func (c *cluster) list(q query, query url.Values) (int, any, error) {
	for _, name := range []string{"watch", "fieldSelector", "labelSelector"} {
		if v := query.Get(name); v != "" && v != "false" && v != "0" {
			return 0, nil, badRequest("%s is not simulated", name)
		}
	}
	limit, err := parseLimit(query.Get("limit"))
	if err != nil {
		return 0, nil, err
	}
	objects, revision := c.store.in(q.resource, q.namespace)
	items, err := after(objects, query.Get("continue"))
	if err != nil {
		return 0, nil, err
	}
	p := page{APIVersion: q.resource.apiVersion(), Kind: q.resource.kind + "List", Items: items, Metadata: pageMeta{Version: revision}}
	if limit > 0 && len(items) > limit {
		p.Items, p.Metadata.Remaining = items[:limit], len(items)-limit
		p.Metadata.Continue = encodeContinue(p.Items[limit-1], p.Metadata.Version)
	}
	return http.StatusOK, p, nil
}

func parseLimit(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil {
		return 0, badRequest("unable to decode query: limit: strconv.ParseInt: parsing %q: invalid syntax", text)
	}
	return limit, nil
}

// A continueToken says after which object a list goes on.
type continueToken struct {
	APIVersion string `json:"v"`
	Revision   string `json:"rv"`
	Start      string `json:"start"`
}

func encodeContinue(last object, revision string) string {
	return base64.RawURLEncoding.EncodeToString(raw(continueToken{"meta.k8s.io/v1", revision, key(last.Metadata)}))
}

func after(items []object, token string) ([]object, error) {
	if token == "" {
		return append([]object{}, items...), nil
	}
	data, err := base64.RawURLEncoding.DecodeString(token)
	var t continueToken
	if err != nil || json.Unmarshal(data, &t) != nil || t.APIVersion != "meta.k8s.io/v1" || t.Start == "" {
		return nil, badRequest("continue key is not valid: %q", token)
	}
	return slices.DeleteFunc(items, func(o object) bool { return key(o.Metadata) <= t.Start }), nil
}

// maxRequest bounds bodies, as the API server does.
const maxRequest = 3 << 20

// readObject reads the body of a request as an object of q's kind.
func readObject(q query, r *http.Request) (o object, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Header.Get("Content-Type") != "" && (err != nil || kind != "application/json") {
		return o, failure(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json")
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	if err != nil {
		return o, failure(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "limit is %d", maxRequest)
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, badRequest("the object provided is unrecognized (must be of type %s): %v", q.resource.kind, err)
	}
	if o.Kind != q.resource.kind || o.APIVersion != q.resource.apiVersion() {
		return o, badRequest("%s in version %q cannot be handled as a %s", o.Kind, o.APIVersion, q.resource.kind)
	}
	if q.name != "" && o.Metadata.Name != q.name {
		return o, badRequest("the name of the object (%s) does not match the name on the URL (%s)", o.Metadata.Name, q.name)
	}
	return o, nil
}

// objectName is a DNS-1123 subdomain.
var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func checkName(r *resource, name string) error {
	const most = 253
	switch {
	case name == "":
		return invalid(r, name, "metadata.name: Required value: name or generateName is required")
	case len(name) > most || !objectName.MatchString(name):
		return invalid(r, name, "metadata.name: Invalid value: %q: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character", name)
	}
	return nil
}

// writeNode creates a node or updates the status of one.
func (c *cluster) writeNode(u identity, q query, r *http.Request) (int, any, error) {
	o, err := readObject(q, r)
	if err != nil {
		return 0, nil, err
	}
	if err := checkName(nodes, o.Metadata.Name); err != nil {
		return 0, nil, err
	}
	if err := restrict(u, o.Metadata.Name); err != nil {
		return 0, nil, err
	}
	switch {
	case q.verb == "create" && q.name == "":
		created, ok := c.store.create(nodes, o)
		if !ok {
			return 0, nil, alreadyExists(nodes, o.Metadata.Name)
		}
		return http.StatusCreated, created, nil
	case q.verb == "update" && q.sub == "status":
		return c.putNodeStatus(o)
	}
	return 0, nil, failure(http.StatusMethodNotAllowed, "MethodNotAllowed", "the server does not allow this method on the requested resource").about(nodes, q.name)
}

// putNodeStatus takes the status; times of transitions are the server's, for a
// kubelet that restarted does not know them.
func (c *cluster) putNodeStatus(o object) (int, any, error) {
	changed, ok, err := c.store.change(nodes, "", o.Metadata.Name, func(old *object) error {
		if v := o.Metadata.Version; v != "" && v != old.Metadata.Version {
			return conflict(nodes, o.Metadata.Name)
		}
		status := parse[nodeStatus](o.Status)
		list := parse[nodeStatus](old.Status).Conditions
		for _, condition := range status.Conditions {
			list = transition(list, condition)
		}
		status.Conditions = list
		old.Status = raw(status)
		return nil
	})
	if !ok {
		return 0, nil, notFound(nodes, o.Metadata.Name)
	}
	return http.StatusOK, changed, err
}

func versionInfo(release string) map[string]string {
	return map[string]string{"major": "1", "minor": "33", "gitVersion": "v1.33.5", "gitTreeState": "clean", "goVersion": "go1.24.6",
		"compiler": "gc", "platform": "linux/amd64", "buildDate": "2026-01-01T00:00:00Z", "gitCommit": fmt.Sprintf("%x", release)}
}
