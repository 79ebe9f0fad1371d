package assisted_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-openapi/loads"
	"github.com/go-openapi/spec"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"

	"github.com/slipway-project/slipway/internal/testbed"
)

// Everything that engine, service and agents say to each other in a whole run
// is held against the official description of the API.
func TestWireIsTheOfficialAPI(t *testing.T) {
	api := officialAPI(t)
	w, c := newWorld(t, ""), testCluster()
	ref := install(w, c)
	checkHandOver(w, c, ref)
	w.api("GET", "/events?cluster_id="+ref.ClusterID)
	w.api("GET", "/infra-envs/"+ref.InfraEnvID)
	w.api("GET", "/infra-envs/"+ref.InfraEnvID+"/hosts")
	if err := w.agents[0].Register(t.Context()); err == nil {
		t.Error("an installed host registers again")
	}
	w.must(w.engine.Remove(t.Context(), c.Mark))

	checked := map[string]bool{}
	for _, x := range w.wire.all() {
		if strings.HasPrefix(x.path, api.base) {
			checked[api.check(t, x)] = true
		}
	}
	if len(checked) < 20 {
		t.Errorf("only %d operations were used: %v", len(checked), checked)
	}
}

type official struct {
	base        string
	paths       map[string]spec.PathItem
	definitions spec.Definitions
}

func officialAPI(t *testing.T) official {
	t.Helper()
	doc, err := loads.Spec(testbed.Reference(t, "data", "assisted-service-swagger.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = doc.Expanded(); err != nil {
		t.Fatal(err)
	}
	return official{doc.BasePath(), doc.Spec().Paths.Paths, doc.Spec().Definitions}
}

// check holds both bodies of x against its operation and returns its name.
func (o official) check(t *testing.T, x exchange) string {
	t.Helper()
	template, operation := o.operation(x)
	if operation == nil {
		t.Errorf("%s %s is no operation of the API", x.method, x.path)
		return ""
	}
	name := x.method + " " + template
	for _, p := range operation.Parameters {
		if p.In == "body" && len(x.request) > 0 {
			o.body(t, name+" request", p.Schema, x.request)
		}
	}
	o.response(t, name, operation, x)
	if strings.HasSuffix(template, "/instructions") {
		o.instructions(t, x)
	}
	return name
}

func (o official) operation(x exchange) (string, *spec.Operation) {
	got := strings.Split(strings.TrimPrefix(x.path, o.base), "/")
	for template, item := range o.paths {
		if !fits(strings.Split(template, "/"), got) {
			continue
		}
		return template, map[string]*spec.Operation{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
		}[x.method]
	}
	return "", nil
}

func fits(template, path []string) bool {
	if len(template) != len(path) {
		return false
	}
	for i, part := range template {
		if part != path[i] && !(strings.HasPrefix(part, "{") && len(path[i]) == 36) {
			return false
		}
	}
	return true
}

func (o official) response(t *testing.T, name string, operation *spec.Operation, x exchange) {
	t.Helper()
	response, known := operation.Responses.StatusCodeResponses[x.status]
	if !known {
		t.Errorf("%s answers %d, which the API does not know: %s", name, x.status, x.response)
		return
	}
	if schema := response.Schema; schema != nil && !schema.Type.Contains("file") {
		o.body(t, fmt.Sprintf("%s %d", name, x.status), schema, x.response)
	} else if schema == nil && len(x.response) > 0 {
		t.Errorf("%s %d has a body: %s", name, x.status, x.response)
	}
}

func (o official) body(t *testing.T, name string, schema *spec.Schema, text []byte) {
	t.Helper()
	var data any
	if err := json.Unmarshal(text, &data); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if err := validate.AgainstSchema(schema, data, strfmt.Default); err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
	}
	for _, field := range unknownFields(schema, data, "") {
		t.Errorf("%s: the API has no %s", name, field)
	}
}

// unknownFields lists what the schema does not name: validation alone accepts
// it, the real service refuses it and no real client reads it.
func unknownFields(schema *spec.Schema, data any, at string) []string {
	var unknown []string
	switch value := data.(type) {
	case []any:
		if schema.Items == nil || schema.Items.Schema == nil {
			return nil
		}
		for _, element := range value {
			unknown = append(unknown, unknownFields(schema.Items.Schema, element, at+"[]")...)
		}
	case map[string]any:
		known := properties(schema)
		for key, element := range value {
			property, ok := known[key]
			if !ok && len(known) > 0 {
				unknown = append(unknown, at+"."+key)
			} else if ok {
				unknown = append(unknown, unknownFields(&property, element, at+"."+key)...)
			}
		}
	}
	return unknown
}

func properties(schema *spec.Schema) map[string]spec.Schema {
	all := map[string]spec.Schema{}
	for key, property := range schema.Properties {
		all[key] = property
	}
	for _, part := range schema.AllOf {
		for key, property := range properties(&part) {
			all[key] = property
		}
	}
	return all
}

var arguments = map[string]string{
	"domain-resolution":             "domain_resolution_request",
	"ntp-synchronizer":              "ntp_synchronization_request",
	"installation-disk-speed-check": "disk_speed_check_request",
	"container-image-availability":  "container_image_availability_request",
	"install":                       "install_cmd_request",
}

var outputs = map[string]string{
	"inventory":                     "inventory",
	"domain-resolution":             "domain_resolution_response",
	"ntp-synchronizer":              "ntp_synchronization_response",
	"installation-disk-speed-check": "disk_speed_check_response",
	"container-image-availability":  "container_image_availability_response",
}

// instructions holds the JSON inside the strings of steps and replies against
// its definitions.
func (o official) instructions(t *testing.T, x exchange) {
	t.Helper()
	if x.method == http.MethodPost {
		var reply struct {
			Type   string `json:"step_type"`
			Output string `json:"output"`
		}
		if err := json.Unmarshal(x.request, &reply); err != nil {
			t.Fatal(err)
		}
		o.inside(t, outputs[reply.Type], reply.Output)
		return
	}
	var next struct {
		Instructions []struct {
			Type string   `json:"step_type"`
			Args []string `json:"args"`
		} `json:"instructions"`
	}
	if err := json.Unmarshal(x.response, &next); err != nil {
		t.Fatal(err)
	}
	for _, s := range next.Instructions {
		if len(s.Args) > 0 {
			o.inside(t, arguments[s.Type], s.Args[0])
		}
	}
}

func (o official) inside(t *testing.T, definition, text string) {
	t.Helper()
	schema, ok := o.definitions[definition]
	if !ok {
		t.Errorf("no definition %q for %s", definition, text)
		return
	}
	o.body(t, definition, &schema, []byte(text))
}
