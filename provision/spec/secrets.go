package spec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-project/slipway/internal/secret"
)

const (
	execTimeout = 30 * time.Second
	maxSecret   = 1 << 20 // bytes
	maxStderr   = 400     // bytes of a command's complaint that are shown
)

type rawSecret struct {
	Env  *hcl.Attribute `hcl:"env,optional"`
	File *hcl.Attribute `hcl:"file,optional"`
	Exec *hcl.Attribute `hcl:"exec,optional"`
}

// sources returns the attributes that are given.
func (raw rawSecret) sources() []*hcl.Attribute {
	var given []*hcl.Attribute
	for _, a := range []*hcl.Attribute{raw.Env, raw.File, raw.Exec} {
		if a != nil {
			given = append(given, a)
		}
	}
	return given
}

// secretBlock defines secret.NAME, whose source is read on Reveal.
func (l *loader) secretBlock(b *hcl.Block) *definition {
	var raw rawSecret
	l.diags = append(l.diags, gohcl.DecodeBody(b.Body, nil, &raw)...)
	d := &definition{name: "secret." + b.Labels[0], at: b.DefRange}
	for _, a := range raw.sources() {
		d.uses = append(d.uses, a.Expr.Variables()...)
	}
	d.eval = func(r *reader) (cty.Value, bool) {
		source, ok := l.secretSource(r, raw, b)
		if !ok {
			return cty.NilVal, false
		}
		origin := fmt.Sprintf("%s (secret %q, %s)", source.origin, b.Labels[0], b.DefRange)
		return secret.ToCty(secret.New(origin, sync.OnceValues(source.trimmed))), true
	}
	return d
}

// A source is where a secret comes from.
type source struct {
	origin string
	read   func() (string, error)
}

// trimmed reads the source without the newline that editors and commands leave.
func (s source) trimmed() (string, error) {
	text, err := s.read()
	if err != nil {
		return "", err
	}
	text = strings.TrimRight(text, "\r\n")
	if text == "" {
		return "", errors.New("it is empty")
	}
	return text, nil
}

func (l *loader) secretSource(r *reader, raw rawSecret, b *hcl.Block) (source, bool) {
	if n := len(raw.sources()); n != 1 {
		r.errorf(b.DefRange, "Invalid secret", "A secret has exactly one source, and this has %d. Write env = \"NAME\", or file = \"path\", or exec = [\"command\", \"argument\"].", n)
		return source{}, false
	}
	switch {
	case raw.Env != nil:
		return l.envSource(r, raw.Env)
	case raw.File != nil:
		return l.fileSource(r, raw.File)
	}
	return execSource(r, raw.Exec, l.beside(raw.Exec))
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (l *loader) envSource(r *reader, a *hcl.Attribute) (source, bool) {
	names, ok := l.environmentNames(r, a)
	if ok && len(names) == 0 {
		r.errorf(a.Expr.Range(), "Invalid secret", "No variable is named. Write env = \"SLIPWAY_PROXMOX_TOKEN\".")
	}
	origin := "environment variable " + strings.Join(names, " or ")
	return source{origin, func() (string, error) { return lookup(l.opts.LookupEnv, names) }}, ok && len(names) > 0
}

// environmentNames reads the names of environment variables.
func (l *loader) environmentNames(r *reader, a *hcl.Attribute) ([]string, bool) {
	if a == nil {
		return nil, true
	}
	names, ok := r.items(a, `"SLIPWAY_PROXMOX_TOKEN"`)
	var plain []string
	for _, name := range names {
		if !variableName.MatchString(name.text) { // it may be the secret itself
			r.errorf(name.at, "Invalid variable name", "env takes the name of an environment variable, not the secret. Write env = \"SLIPWAY_PROXMOX_TOKEN\".")
			r.diags[len(r.diags)-1].Extra = hidden{}
			ok = false
		}
		plain = append(plain, name.text)
	}
	return plain, ok
}

// lookup returns the first variable that is set.
func lookup(env func(string) (string, bool), names []string) (string, error) {
	for _, name := range names {
		if text, ok := env(name); ok {
			return text, nil
		}
	}
	return "", errors.New("not set")
}

func (l *loader) fileSource(r *reader, a *hcl.Attribute) (source, bool) {
	path, ok := r.text(a, `"~/.pull-secret.json"`)
	if ok && path == "" {
		r.errorf(a.Expr.Range(), "Invalid secret", "No file is named. Write file = \"~/.pull-secret.json\".")
		return source{}, false
	}
	return source{"file " + path, func() (string, error) { return readSecret(l.locate(path, l.beside(a))) }}, ok
}

// beside is the directory of the file in which a stands.
func (l *loader) beside(a *hcl.Attribute) string {
	return within(l.opts.WorkDir, filepath.Dir(a.Range.Filename))
}

// locate resolves a secret's path: ~ is the home directory, all else is
// relative to the file that names it.
func (l *loader) locate(path, dir string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(l.opts.Home(), rest)
	}
	return within(dir, path)
}

func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret))
	return string(text), err
}

func execSource(r *reader, a *hcl.Attribute, dir string) (source, bool) {
	items, ok := r.items(a, `["vault", "kv", "get", "-field=token", "pve"]`)
	if !ok {
		return source{}, false
	}
	if len(items) == 0 || items[0].text == "" {
		r.errorf(a.Expr.Range(), "Invalid secret", "No command is named. Write exec = [\"command\", \"argument\"].")
		return source{}, false
	}
	var argv []string
	for _, i := range items {
		argv = append(argv, i.text)
	}
	return source{"command " + argv[0], func() (string, error) { return run(argv, dir, execTimeout) }}, true
}

// run returns what a command prints. Its arguments stay out of the error:
// people put passwords there.
func run(argv []string, dir string, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second // children may keep the pipe open
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if said := tail(complaint.String()); err != nil && said != "" {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return string(text), err
}

// tail is the end of what a command complained about, on one line.
func tail(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxStderr {
		text = "..." + text[len(text)-maxStderr:]
	}
	return strings.ToValidUTF8(text, "")
}
