package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
)

const module = "github.com/slipway-project/slipway/"

// A file is one Go file of the module, by its path from the root.
type file struct {
	path string
	set  *token.FileSet
	*ast.File
}

func (f file) dir() string  { return filepath.ToSlash(filepath.Dir(f.path)) }
func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// imports lists the file's imports; those of the module without its path.
func (f file) imports() (paths []string) {
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, strings.TrimPrefix(path, module))
	}
	return paths
}

func load(t *testing.T) (files []file) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (strings.HasPrefix(name, ".") && name != ".." || name == "testdata" || name == "tools" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		rel, _ := filepath.Rel(root, path)
		files = append(files, file{filepath.ToSlash(rel), set, parsed})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func under(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return path == d || strings.HasPrefix(path, d+"/") })
}

// forTests are the packages that only tests import.
var forTests = []string{"internal/testbed", "internal/netlab/netlabtest", "dnsserver/internal/peer", "provision/provider/providertest",
	"provision/services/remote/remotetest", "provision/state/statetest", "rehearsal/pve/pveschema"}

func TestImportsFollowTheMap(t *testing.T) {
	rules := []struct {
		why    string
		from   []string // directories the rule is about
		except []string // files below them it is not about
		never  func(path string) bool
		tests  bool // whether tests are bound too
	}{
		{"a part never imports the whole", []string{"provision/event", "provision/installer", "provision/kube", "provision/phase", "provision/plan",
			"provision/probe", "provision/provider", "provision/services", "provision/spec", "provision/state"}, nil,
			func(p string) bool { return p == "provision" || under(p, "cmd") }, true},
		{"plan is pure", []string{"provision/plan"}, nil,
			func(p string) bool {
				return slices.Contains([]string{"net", "net/http", "os", "os/exec", "time", "math/rand"}, p)
			}, false},
		{"providers and installers read no spec", []string{"provision/provider", "provision/installer"}, nil,
			func(p string) bool { return under(p, "provision/spec") }, false},
		{"servers know records and frontends, no clusters", []string{"dnsserver", "dhcpserver", "loadbalancer", "templates"}, nil,
			func(p string) bool { return under(p, "provision", "rehearsal", "cmd") }, true},
		{"the simulator cannot see us", []string{"rehearsal", "internal/netlab"}, nil,
			func(p string) bool { return under(p, "provision", "cmd", "dnsserver", "dhcpserver", "loadbalancer") }, true},
		{"production knows of no simulator", []string{"provision", "dnsserver", "dhcpserver", "loadbalancer", "internal"}, nil,
			func(p string) bool { return under(p, "rehearsal") }, false},
		{"views draw events and plans only", []string{"internal/view"}, nil,
			func(p string) bool {
				return under(p, "provision") && !under(p, "provision/event", "provision/plan")
			}, true},
		{"schema checkers are for tests", []string{"cmd", "provision", "dnsserver", "dhcpserver", "loadbalancer", "internal", "rehearsal"}, []string{"rehearsal/pve/pveschema"},
			func(p string) bool {
				return strings.HasPrefix(p, "github.com/go-openapi/") || under(p, "rehearsal/pve/pveschema")
			}, false},
		{"what tests stand on is for tests", []string{"cmd", "provision", "dnsserver", "dhcpserver", "loadbalancer", "templates", "internal", "rehearsal"}, forTests,
			func(p string) bool { return p == "testing" || under(p, forTests...) }, false},
	}
	for _, f := range load(t) {
		for _, rule := range rules {
			if !under(f.dir(), rule.from...) || under(f.dir(), rule.except...) || f.isTest() && !rule.tests {
				continue
			}
			for _, path := range f.imports() {
				if rule.never(path) {
					t.Errorf("%s imports %s: %s", f.path, path, rule.why)
				}
			}
		}
	}
}

// Calls that no code may make, and where they are allowed.
func TestForbiddenCalls(t *testing.T) {
	rules := []struct {
		call, why string
		allowed   func(file) bool
	}{
		{"os.Exit", "only the command exits", func(f file) bool { return f.dir() == "cmd/slipway" || f.isTest() }},
		{"ssh.InsecureIgnoreHostKey", "every host key is checked", func(file) bool { return false }},
		{"time.Sleep", "waits end with a context; tests do not sleep", func(file) bool { return false }},
		{"fmt.Print", "libraries print nothing", inTests}, {"fmt.Println", "libraries print nothing", inTests}, {"fmt.Printf", "libraries print nothing", inTests},
		{"t.Skip", skipping, inTestbed}, {"t.Skipf", skipping, inTestbed}, {"t.SkipNow", skipping, inTestbed},
		{"b.Skip", skipping, inTestbed}, {"b.Skipf", skipping, inTestbed}, {"b.SkipNow", skipping, inTestbed},
		{"log.Print", "libraries log nothing", inTests}, {"log.Println", "libraries log nothing", inTests}, {"log.Printf", "libraries log nothing", inTests}, {"log.Fatal", "libraries log nothing", inTests},
	}
	for _, f := range load(t) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, rule := range rules {
				if rule.call == pkg.Name+"."+selector.Sel.Name && !rule.allowed(f) {
					t.Errorf("%s: %s: %s", f.set.Position(n.Pos()), rule.call, rule.why)
				}
			}
			return true
		})
	}
}

func inTests(f file) bool { return f.isTest() }

const skipping = "testbed names what is missing, and CI has everything"

func inTestbed(f file) bool { return f.dir() == "internal/testbed" }

func TestNothingHappensAtImport(t *testing.T) {
	for _, f := range load(t) {
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init: registration is a visible list", f.path)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := map[string]bool{}
	for _, f := range load(t) {
		if !f.isTest() {
			said[f.dir()] = said[f.dir()] || f.Doc != nil
		}
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func TestFilesAreOneIdea(t *testing.T) {
	const most = 600
	for _, f := range load(t) {
		if lines := f.set.File(f.Pos()).LineCount(); lines > most {
			t.Errorf("%s has %d lines, more than %d", f.path, lines, most)
		}
	}
}

func TestTopLevel(t *testing.T) {
	allowed := strings.Fields(`cmd provision dnsserver dhcpserver loadbalancer templates examples rehearsal internal docs tools
		go.mod go.sum Makefile README.md LICENSE CHANGELOG.md CONTRIBUTING.md SECURITY.md .ci .github .gitignore staticcheck.conf`)
	listed, err := exec.Command("git", "-C", filepath.Join("..", ".."), "ls-files").Output()
	if err != nil {
		testbed.Missing(t, "git, and a checkout: %v", err)
	}
	for path := range strings.Lines(string(listed)) {
		top, _, _ := strings.Cut(strings.TrimSpace(path), "/")
		if !slices.Contains(allowed, top) {
			t.Errorf("%s stands at the top level", top)
		}
	}
}

// unfinished are the marks that people leave for later, however written.
var unfinished = regexp.MustCompile(`(?i)\b(to-?do|fix-?me|x{3,}|hack)\b`)

// Words that the field has replaced, or that say nothing.
func TestWords(t *testing.T) {
	for _, f := range load(t) {
		base := strings.TrimSuffix(filepath.Base(f.path), ".go")
		if slices.Contains([]string{"util", "utils", "helper", "helpers", "common", "misc"}, strings.TrimSuffix(base, "_test")) {
			t.Errorf("%s: a file is named after what it holds", f.path)
		}
		for _, group := range f.Comments {
			if mark := unfinished.FindString(group.Text()); mark != "" {
				t.Errorf("%s: %s in a comment", f.set.Position(group.Pos()), mark)
			}
		}
	}
}

func TestReferenceIsFoundByItsVariableOnly(t *testing.T) {
	for _, f := range load(t) {
		data, err := os.ReadFile(filepath.Join("..", "..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		if f.dir() != "internal/house" && strings.Contains(string(data), "../shared") {
			t.Errorf("%s names the folder of the reference data", f.path)
		}
		if !slices.Contains([]string{"internal/house", "internal/testbed"}, f.dir()) && strings.Contains(string(data), `"SLIPWAY_REFERENCE"`) {
			t.Errorf("%s looks for the reference data by itself, not by testbed", f.path)
		}
	}
}
