package spec

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
)

// Options is what Load takes from outside of the spec. The zero value is fit
// for use: the process's own environment, home and working directory.
type Options struct {
	// Override is a further file whose blocks have the shapes of the spec's.
	// Attributes in its provider, network and cluster blocks replace those of
	// the spec's block with the same labels, nested blocks likewise; a secret
	// block replaces the spec's whole, or is added. It has no locals and no
	// variables.
	Override string
	// WorkDir is what relative paths start from; empty: the working directory.
	WorkDir string
	// Stdin is read for the path "-"; nil: empty.
	Stdin io.Reader
	// Vars are values of variables, NAME=VALUE. They win over VarFiles, of
	// which later ones win over earlier ones, and these over the environment.
	Vars     []string
	VarFiles []string
	// LookupEnv looks up an environment variable, of a secret or of a variable
	// (SLIPWAY_VAR_NAME, and what its env names); nil: os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Home returns the directory that ~ stands for; nil: os.UserHomeDir.
	Home func() string
	// ProviderTypes and InstallerTypes are the known first labels; nil: any.
	ProviderTypes  []string
	InstallerTypes []string
	// ValidateProvider and ValidateInstaller judge the bodies of blocks with
	// known first labels, which spec does not read itself; nil: nobody does.
	ValidateProvider  Validate
	ValidateInstaller Validate
}

// A Validate judges the body of a block by the type in its first label.
type Validate func(name string, body hcl.Body, ctx *hcl.EvalContext) hcl.Diagnostics

const maxSpec = 256 << 10 // bytes of one file

// Load reads the files at paths as one spec. All problems are returned at
// once, in the order of the files; with an error among them the Spec is nil.
// The files are for printing the diagnostics, see [Format]. No secret is read.
func Load(paths []string, opts Options) (*Spec, hcl.Diagnostics, map[string]*hcl.File) {
	l := newLoader(opts)
	for _, path := range paths {
		l.spec = append(l.spec, l.parse(path))
	}
	if opts.Override != "" {
		l.override = l.parse(opts.Override)
	}
	var spec *Spec
	if !l.diags.HasErrors() {
		spec = l.decode(paths)
	}
	diags := Tidy(l.diags)
	if diags.HasErrors() {
		spec = nil
	}
	return spec, diags, l.files
}

type loader struct {
	reader
	opts      Options
	files     map[string]*hcl.File
	spec      []hcl.Body
	override  hcl.Body // nil: none
	values    map[string]given
	nets      []*network
	variables []Variable
}

func newLoader(opts Options) *loader {
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	if opts.Home == nil {
		opts.Home = func() string { dir, _ := os.UserHomeDir(); return dir }
	}
	return &loader{opts: opts, files: map[string]*hcl.File{}}
}

// parse returns the body of the file at path, empty when it cannot be had.
func (l *loader) parse(path string) hcl.Body {
	text, err := l.read(path)
	if err != nil {
		l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Cannot read the spec", Detail: sentence(err, "-f")})
		return hcl.EmptyBody()
	}
	name := path
	if path == "-" {
		name = "<stdin>"
	}
	file, diags := parseText(name, text)
	l.files[name] = file
	l.diags = append(l.diags, diags...)
	if file.Body == nil {
		return hcl.EmptyBody()
	}
	return file.Body
}

func parseText(name string, text []byte) (*hcl.File, hcl.Diagnostics) {
	if diags := notText(text, name); diags.HasErrors() {
		return &hcl.File{}, diags // without the bytes: nobody may walk through them
	}
	if diags := tooDeep(text, name); diags.HasErrors() {
		return &hcl.File{Bytes: text}, diags
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if strings.HasSuffix(name, ".json") {
		file, diags = json.Parse(text, name)
	} else {
		file, diags = hclsyntax.ParseConfig(text, name, hcl.InitialPos)
	}
	if file == nil {
		file = &hcl.File{Bytes: text}
	}
	return file, fewer(advise(diags))
}

func (l *loader) read(path string) ([]byte, error) {
	in := l.opts.Stdin
	if path != "-" {
		f, err := os.Open(within(l.opts.WorkDir, path))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	if in == nil {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSpec+1))
	if err == nil && len(text) > maxSpec {
		err = fmt.Errorf("the file %s has more than %d KiB", path, maxSpec>>10)
	}
	return text, err
}

// root is the directory of the spec, below which file() reads.
func (l *loader) root(paths []string) string {
	if len(paths) == 0 || paths[0] == "-" {
		return within(l.opts.WorkDir, ".")
	}
	return filepath.Dir(within(l.opts.WorkDir, paths[0]))
}

var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "locals"},
	{Type: "secret", LabelNames: []string{"name"}},
	{Type: "provider", LabelNames: []string{"type", "name"}},
	{Type: "network", LabelNames: []string{"name"}},
	{Type: "cluster", LabelNames: []string{"name"}},
}}

// decode turns the parsed bodies into a Spec.
func (l *loader) decode(paths []string) *Spec {
	blocks := l.blocks()
	l.define(blocks, l.root(paths))
	l.checkFiles()
	providers := l.providers(blocks.OfType("provider"))
	l.networks(blocks.OfType("network"))
	clusters := l.clusters(blocks.OfType("cluster"), providers)
	spec := &Spec{Files: slices.Clone(paths), Providers: providers, Variables: l.variables}
	slices.SortFunc(spec.Variables, func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) })
	for _, n := range l.nets {
		spec.Networks = append(spec.Networks, n.Network)
	}
	for _, c := range clusters {
		spec.Clusters = append(spec.Clusters, c.Cluster)
	}
	for _, b := range blocks.OfType("secret") {
		spec.Secrets = append(spec.Secrets, b.Labels[0])
	}
	return spec
}

// blocks gathers the root blocks of all files, the override's joined in.
func (l *loader) blocks() hcl.Blocks {
	var blocks hcl.Blocks
	for _, body := range l.spec {
		blocks = append(blocks, l.content(body)...)
	}
	blocks = l.distinct(blocks)
	if l.override == nil {
		return blocks
	}
	return l.overlay(blocks, l.content(l.override))
}

func (l *loader) content(body hcl.Body) hcl.Blocks {
	content, diags := body.Content(rootSchema)
	for _, d := range diags {
		if d.Summary == "Unsupported block type" && !strings.Contains(d.Detail, "Did you mean") {
			d.Detail += " A spec has variable, locals, secret, provider, network and cluster blocks."
		}
	}
	l.diags = append(l.diags, diags...)
	return content.Blocks
}

// overlay applies the blocks of the override. (Locals and variables are not
// among them: all files share theirs, and an override says what it means.)
func (l *loader) overlay(blocks, over hcl.Blocks) hcl.Blocks {
	replaced := func(b *hcl.Block) bool {
		return b.Type == "secret" && slices.ContainsFunc(over, func(o *hcl.Block) bool { return sameBlock(b, o) })
	}
	over = slices.DeleteFunc(over, l.shared)
	blocks, added := mergeBlocks(slices.DeleteFunc(blocks, replaced), over)
	for _, b := range added {
		if b.Type == "secret" {
			blocks = append(blocks, b)
			continue
		}
		l.errorf(b.DefRange, "Nothing to override", "The spec has no %s. Write the labels of one of its blocks.", title(b))
	}
	return blocks
}

// shared refuses blocks that an override cannot have.
func (l *loader) shared(b *hcl.Block) bool {
	switch b.Type {
	case "locals":
		l.errorf(b.DefRange, "Locals in an override", "An override has no locals of its own. Write the values where they are used.")
		return true
	case "variable":
		l.errorf(b.DefRange, "Variable in an override", "An override declares no variables. Give those of the spec another value by --var or --var-file.")
		return true
	}
	return false
}

// distinct leaves out, after reporting them, blocks with the name of an
// earlier one.
func (l *loader) distinct(blocks hcl.Blocks) hcl.Blocks {
	first := map[string]*hcl.Block{}
	var kept hcl.Blocks
	for _, b := range blocks {
		if b.Type == "locals" {
			kept = append(kept, b)
			continue
		}
		key := b.Type + " " + b.Labels[len(b.Labels)-1] // what references name
		if before := first[key]; before != nil {
			l.errorf(b.DefRange, "Duplicate block", "There is a %s already, at %s. Give this one another name.", title(before), before.DefRange)
			continue
		}
		first[key] = b
		kept = append(kept, b)
	}
	return kept
}

// title is how a person names a block: cluster "mycluster".
func title(b *hcl.Block) string {
	t := b.Type
	for _, l := range b.Labels {
		t += fmt.Sprintf(" %q", l)
	}
	return t
}
