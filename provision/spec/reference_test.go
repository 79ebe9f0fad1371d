package spec

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"

	installers "github.com/slipway-project/slipway/provision/installer/all"
	providers "github.com/slipway-project/slipway/provision/provider/all"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/spec.md")

const referencePage = "../../docs/spec.md"

// described gathers all blocks by their path: cluster.services.dns.
func described(path string, blocks []Block, into map[string]Block) map[string]Block {
	for _, b := range blocks {
		name := strings.TrimPrefix(path+"."+b.Name, ".")
		if b.Type != "" {
			name += "." + b.Type
		}
		into[name] = b
		described(name, b.Blocks, into)
	}
	return into
}

var table = regexp.MustCompile("(?s)<!-- ([a-z0-9._]+): written by `make docs` -->\n.*?<!-- end -->")

// The tables of docs/spec.md say what the description says, of every block.
func TestReference(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	left := described("", Description(), map[string]Block{})
	delete(left, "locals") // has no attributes of its own
	written := table.ReplaceAllStringFunc(string(page), func(old string) string {
		name := table.FindStringSubmatch(old)[1]
		b, ok := left[name]
		if !ok {
			t.Errorf("there is no block %q, or its table is there twice", name)
			return old
		}
		delete(left, name)
		return fmt.Sprintf("<!-- %s: written by `make docs` -->\n%s<!-- end -->", name, markdown(b))
	})
	for _, name := range sorted(left) {
		t.Errorf("%s has no table for %s: write \"<!-- %s: written by `make docs` -->\" and \"<!-- end -->\"", referencePage, name, name)
	}
	if *update {
		if err := os.WriteFile(referencePage, []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(page), written); diff != "" {
		t.Errorf("run `make docs` (-page +code):\n%s", diff)
	}
}

func markdown(b Block) string {
	var text strings.Builder
	text.WriteString("| attribute | type | default | rule |\n|---|---|---|---|\n")
	for _, a := range b.Attributes {
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", a.Name, a.Kind, a.Default, a.Rule)
	}
	return text.String()
}

// shape is what a block may hold.
type shape struct{ Attributes, Blocks []string }

func shapeOf(schema *hcl.BodySchema) shape {
	var s shape
	for _, a := range schema.Attributes {
		s.Attributes = append(s.Attributes, a.Name)
	}
	for _, b := range schema.Blocks {
		s.Blocks = append(s.Blocks, fmt.Sprint(b.Type, len(b.LabelNames)))
	}
	slices.Sort(s.Attributes)
	slices.Sort(s.Blocks)
	return s
}

func (b Block) shape() shape {
	var s shape
	for _, a := range b.Attributes {
		s.Attributes = append(s.Attributes, a.Name)
	}
	for _, inner := range b.Blocks {
		labels := len(inner.Labels)
		if inner.Type != "" {
			labels++
		}
		s.Blocks = append(s.Blocks, fmt.Sprint(inner.Name, labels))
	}
	slices.Sort(s.Attributes)
	slices.Sort(s.Blocks)
	s.Blocks = slices.Compact(s.Blocks) // of several types
	return s
}

// The description has exactly the attributes and blocks that are read.
func TestDescriptionIsWhatIsRead(t *testing.T) {
	read := map[string]shape{"": shapeOf(rootSchema), "locals": {}}
	for name, raw := range map[string]any{
		"variable": rawVariable{}, "variable.validation": rawValidation{}, "secret": rawSecret{}, "network": rawNetwork{},
		"cluster": rawCluster{}, "cluster.services": rawServices{}, "cluster.services.dns": rawDNS{}, "cluster.machines": rawMachines{},
		"cluster.check": rawCheck{}, "cluster.ssh": rawSSH{}, "cluster.services.ssh": rawServicesHost{}, "cluster.services.load_balancer": rawBalancer{},
		"cluster.services.vm": rawServicesVM{}, "cluster.services.vm.image": rawCloudImage{},
	} {
		schema, _ := gohcl.ImpliedBodySchema(raw)
		read[name] = shapeOf(schema)
	}
	for _, name := range providers.Types() {
		read["provider."+name] = asked(name, providers.Validate)
	}
	for _, name := range installers.Types() {
		read["cluster.installer."+name] = asked(name, installers.Validate)
	}
	got := map[string]shape{"": Block{Blocks: Description()}.shape()}
	for name, b := range described("", Description(), map[string]Block{}) {
		got[name] = b.shape()
	}
	if diff := cmp.Diff(read, got); diff != "" {
		t.Errorf("description (-read +described):\n%s", diff)
	}
}

// asked is the shape that the owner of a body asks it for.
func asked(name string, validate Validate) shape {
	body := &recorder{}
	validate(name, body, nil)
	return body.shape
}

// A recorder is a body that remembers what it is asked for.
type recorder struct{ shape shape }

func (r *recorder) Content(schema *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	r.shape = shapeOf(schema)
	return &hcl.BodyContent{}, nil
}

func (r *recorder) PartialContent(schema *hcl.BodySchema) (*hcl.BodyContent, hcl.Body, hcl.Diagnostics) {
	content, diags := r.Content(schema)
	return content, hcl.EmptyBody(), diags
}

func (r *recorder) JustAttributes() (hcl.Attributes, hcl.Diagnostics) { return nil, nil }
func (r *recorder) MissingItemRange() hcl.Range                       { return hcl.Range{} }

// Every attribute has a kind with a schema, a default and a rule, and what has
// words has only words that are read.
func TestDescriptionIsComplete(t *testing.T) {
	for name, b := range described("", Description(), map[string]Block{}) {
		for _, a := range b.Attributes {
			if kinds[a.Kind] == nil || a.Default == "" || a.Rule == "" {
				t.Errorf("%s.%s is described incompletely: %+v", name, a.Name, a)
			}
		}
	}
}

func TestSchemaIsJSON(t *testing.T) {
	text, err := json.Marshal(Schema())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"$schema":"https://json-schema.org/draft/2020-12/schema"`, `"for_each":`, `"required":["endpoint"]`, `"enum":["control-plane","worker"]`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the schema has no %s", want)
		}
	}
}

var (
	inBackquotes = regexp.MustCompile("`([a-z]+)`")
	hclBlock     = regexp.MustCompile("(?s)```hcl\n(.*?)```")
)

// docs/spec.md lists exactly the functions that there are.
func TestFunctionsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "\nFunctions: ")
	list, _, _ = strings.Cut(list, ";")
	var documented []string
	for _, m := range inBackquotes.FindAllStringSubmatch(list, -1) {
		documented = append(documented, m[1])
	}
	if diff := cmp.Diff(sorted(functions("")), documented); diff != "" {
		t.Errorf("functions (-there +documented):\n%s", diff)
	}
}

// What docs/spec.md shows as HCL is HCL, and formatted.
func TestDocumentedSpecsAreFormatted(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range hclBlock.FindAllStringSubmatch(string(page), -1) {
		formatted, diags, _ := Rewrite("spec.md", []byte(m[1]))
		if diff := cmp.Diff(string(formatted), m[1]); diff != "" || diags.HasErrors() {
			t.Errorf("%v, (-want +got):\n%s", said(diags), diff)
		}
	}
}
