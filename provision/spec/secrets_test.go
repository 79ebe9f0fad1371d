package spec

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/secret"
)

// pull loads a spec whose pull secret has the given source.
func pull(t *testing.T, source string, opts Options) secret.Value {
	t.Helper()
	if opts.WorkDir == "" {
		opts.WorkDir = t.TempDir()
	}
	write(t, opts.WorkDir, "cluster.hcl", strings.Replace(valid, `file = "pull.json"`, source, 1))
	s, diags, _ := Load([]string{"cluster.hcl"}, opts)
	if diags.HasErrors() {
		t.Fatal(said(diags))
	}
	return s.Clusters[0].PullSecret
}

func TestSecretsAreReadOnReveal(t *testing.T) {
	home, work := t.TempDir(), t.TempDir()
	env := map[string]string{"B": "from B\n", "EMPTY": ""}
	opts := Options{
		WorkDir:   work,
		Home:      func() string { return home },
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}
	write(t, home, "pull.json", "from home\r\n")
	write(t, work, "pull.json", "from work\n\n")
	const at = `(secret "pull", cluster.hcl:6,1-14)`
	for _, tt := range []struct{ source, want, err string }{
		{`env = "B"`, "from B", ""},
		{`env = ["A", "B"]`, "from B", ""},
		{`file = "pull.json"`, "from work", ""},
		{`file = "~/pull.json"`, "from home", ""},
		{fmt.Sprintf("file = %q", filepath.Join(home, "pull.json")), "from home", ""},
		{`exec = ["sh", "-c", "printf 'from\\nsh\\n'"]`, "from\nsh", ""},
		{`exec = ["cat", "pull.json"]`, "from work", ""},
		{`env = ["A", "C"]`, "", "read secret from environment variable A or C " + at + ": not set"},
		{`env = "EMPTY"`, "", "read secret from environment variable EMPTY " + at + ": it is empty"},
		{`file = "none"`, "", "read secret from file none " + at + ": open " + work + "/none: no such file or directory"},
		{`exec = ["sh", "-c", "echo s3cret; echo sealed >&2; exit 2"]`, "", "read secret from command sh " + at + ": exit status 2: sealed"},
		{`exec = ["no-such-command", "s3cret"]`, "", "read secret from command no-such-command " + at + ": exec: \"no-such-command\": executable file not found in $PATH"},
	} {
		got, err := pull(t, tt.source, opts).Reveal()
		said := ""
		if err != nil {
			said = err.Error()
		}
		if got != tt.want || said != tt.err {
			t.Errorf("%s: %q, %q; want %q, %q", tt.source, got, said, tt.want, tt.err)
		}
	}
}

func TestASecretCommandRunsOnce(t *testing.T) {
	dir := t.TempDir()
	s := pull(t, `exec = ["sh", "-c", "echo x >>log; wc -l <log | tr -d ' '"]`, Options{WorkDir: dir})
	for range 2 {
		if got, err := s.Reveal(); got != "1" || err != nil {
			t.Errorf("Reveal = %q, %v", got, err)
		}
	}
}

func TestASecretCommandThatHangsIsGivenUp(t *testing.T) {
	const limit = 50 * time.Millisecond
	_, err := run([]string{"sh", "-c", "echo half; exec sleep 60"}, "", limit)
	if err == nil || err.Error() != "no answer within 50ms" {
		t.Errorf("error %v", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	if got := tail(strings.Repeat("ä", 300) + "\n\n end "); len(got) > maxStderr+3 || !strings.HasPrefix(got, "...") || !strings.HasSuffix(got, "ä end") {
		t.Errorf("tail is %q", got)
	}
}
