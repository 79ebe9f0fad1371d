package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/state"
)

// Whatever goes wrong, the last line says what to do, and for each kind of
// error something else.
func TestEveryErrorHasAHint(t *testing.T) {
	_, unset := secret.New("environment variable X", func() (string, error) { return "", errors.New("it is not set") }).Reveal()
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"another run":          {&state.HeldError{Cluster: "mycluster.lab.test"}, "wait until that run has ended"},
		"interrupted":          {fmt.Errorf("image: %w", provision.ErrInterrupted), "run the same command again"},
		"a step":               {&phase.Error{Step: "image", Phase: "media", Err: errors.New("no answer")}, "run the same command again"},
		"declined":             {provision.ErrDeclined, "nothing was changed"},
		"half a teardown":      {&provision.PartialError{Left: []string{"machine x"}, Err: errors.New("locked")}, "run `slipway down` again"},
		"an unreadable secret": {unset, "the secret block"},
		"the API":              {&kube.StatusError{Path: "/api", Code: 500, Message: "etcd"}, "`slipway status`"},
		"a full disk":          {&fs.PathError{Op: "write", Path: "journal", Err: syscall.ENOSPC}, "make room"},
		"no permission":        {&fs.PathError{Op: "open", Path: "journal", Err: syscall.EACCES}, "the user who owns"},
		"usage":                {usage(errors.New("--x is wrong")), "--help"},
		"the spec":             {&exitError{provision.ExitSpec, errors.New("no spec")}, "`slipway validate`"},
		"anything else":        {errors.New("no answer"), "`slipway doctor`"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			report(&out, tt.err)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != 2 || !strings.HasPrefix(lines[0], "slipway: error: ") || !strings.HasPrefix(lines[1], "slipway: hint: ") || !strings.Contains(lines[1], tt.want) {
				t.Errorf("%q, want an error and a hint with %q", lines, tt.want)
			}
		})
	}
}

// A problem of preflight without a hint of its own gets one, too.
func TestPreflightProblemsHaveHints(t *testing.T) {
	var out bytes.Buffer
	report(&out, &provision.PreflightError{Problems: []provider.Problem{{What: "no room", Hint: "make some"}, {What: "strange"}}})
	if n := strings.Count(out.String(), "slipway: hint: "); n != 2 {
		t.Errorf("%d hints in\n%s", n, out.String())
	}
}

func TestEverySSHFailureHasAdvice(t *testing.T) {
	for _, class := range []sshx.Class{sshx.Refused, sshx.Unreachable, sshx.Stalled, sshx.NotSSH, sshx.Auth, sshx.HostKey,
		sshx.Algorithm, sshx.Exit, sshx.Forwarding, sshx.Dropped} {
		if class.Advice() == "" && class != sshx.Exit { // what a command says is its own
			t.Errorf("class %q has no advice", class)
		}
	}
}

// Command lines that are wrong in each verb's own way: none ends without a
// hint or a diagnostic.
func TestWrongCommandLinesEndWithAHint(t *testing.T) {
	dir := t.TempDir()
	spec := filepath.Join(dir, "cluster.hcl")
	text, err := os.ReadFile("../../examples/proxmox-ha/cluster.hcl")
	if err == nil {
		err = os.WriteFile(spec, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"fly", "up --nonsense", "list -o yaml", "version -o yaml", "status extra", "man", "ssh", "ssh -f SPEC nobody", "ssh -f SPEC control-0",
		"kubeconfig -f SPEC", "kubeconfig -f SPEC --path --merge", "kubeconfig -f SPEC --show-password", "validate -f nowhere.hcl",
		"plan -f SPEC --cluster other", "up -f SPEC --progress loud", "up -f SPEC --progress tty", "plan -f SPEC --pace 0",
		"dns client -f SPEC --for bind", "dns export -f SPEC", "dns check -f SPEC --node nobody", "gather -f SPEC -o yaml", "serve",
		"dns serve", "rehearse -f SPEC --speed 0",
	} {
		var stderr bytes.Buffer
		a := &app{stdin: strings.NewReader(""), stdout: &stderr, stderr: &stderr}
		args := strings.Fields(strings.ReplaceAll(line, "SPEC", spec))
		code := run(context.Background(), a, append(args, "--home", filepath.Join(dir, "home")))
		if code == 0 || !strings.Contains(stderr.String(), "slipway: hint: ") {
			t.Errorf("slipway %s: exit %d, no hint in\n%s", line, code, stderr.String())
		}
	}
}
