package rehearsal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/netlab"
)

// configFD is the descriptor on which a World's process finds its Config.
const configFD = 3

// worldLog is the file in a World's directory that its process complains to.
const worldLog = "world.log"

// A message is the first line a World's process writes: Ready, or why not.
type message struct {
	Ready
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// A Process is a World in a process of its own.
type Process struct {
	Ready Ready

	dir   string
	stdin io.Closer // the World ends when it is closed
	proc  *os.Process
	done  chan struct{}
	err   error // once done is closed
}

// Start runs argv, our own binary with arguments that make it call [Serve], in
// new namespaces, and waits until the World of cfg is ready. Of the environment
// it gets PATH and TMPDIR alone. The World ends with Stop, and with this process.
func Start(ctx context.Context, cfg Config, argv []string) (*Process, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start the world: %w", err)
	}
	cfg.Dir = dir
	p, stdout, err := launch(cfg, argv)
	if err != nil {
		return nil, fmt.Errorf("start the world: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { p.proc.Kill() })
	defer stop()
	if p.Ready, err = readReady(stdout); err == nil {
		return p, nil
	}
	p.stdin.Close()
	<-p.done
	return nil, p.explain(ctx, err)
}

// launch starts the process; stdout is where it says that it is ready.
func launch(cfg Config, argv []string) (p *Process, stdout io.ReadCloser, err error) {
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, nil, err
	}
	var files pipes
	defer files.closeTheirs()
	config, stdin, stdout := files.toChild(), files.toChild(), files.fromChild()
	stderr, err := os.Create(filepath.Join(cfg.Dir, worldLog))
	if err := errors.Join(files.err, err); err != nil {
		return nil, nil, errors.Join(err, files.closeOurs())
	}
	defer stderr.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	cmd.ExtraFiles = files.theirs[:1]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files.theirs[1], files.theirs[2], stderr
	wait, err := netlab.Spawn(cmd)
	if err != nil {
		return nil, nil, errors.Join(err, files.closeOurs())
	}
	go func() { // a process that ends early does not read it all
		defer config.Close()
		config.Write(text)
	}()
	p = &Process{dir: cfg.Dir, stdin: stdin, proc: cmd.Process, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = wait()
	}()
	return p, stdout, nil
}

// pipes collects both ends of pipes to a child.
type pipes struct {
	theirs, ours []*os.File
	err          error
}

func (p *pipes) toChild() *os.File {
	r, w, err := os.Pipe()
	p.theirs, p.ours, p.err = append(p.theirs, r), append(p.ours, w), errors.Join(p.err, err)
	return w
}

func (p *pipes) fromChild() *os.File {
	r, w, err := os.Pipe()
	p.theirs, p.ours, p.err = append(p.theirs, w), append(p.ours, r), errors.Join(p.err, err)
	return r
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
}

func (p *pipes) closeOurs() error {
	for _, f := range p.ours {
		f.Close()
	}
	return nil
}

func readReady(stdout io.ReadCloser) (Ready, error) {
	defer stdout.Close()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return Ready{}, errSilent
	}
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return Ready{}, fmt.Errorf("read its first line: %w", err)
	}
	if m.Error != "" {
		return Ready{}, hint.With(errors.New(m.Error), m.Hint)
	}
	return m.Ready, nil
}

var errSilent = errors.New("ended before it was ready")

// explain adds what a process that said nothing left behind.
func (p *Process) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("start the world: %w", context.Cause(ctx))
	}
	if !errors.Is(err, errSilent) {
		return fmt.Errorf("start the world: %w", err)
	}
	complaint, _ := os.ReadFile(filepath.Join(p.dir, worldLog))
	return fmt.Errorf("start the world: %w: %w: %s", err, p.err, bytes.TrimSpace(complaint))
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends the World and waits for the end of its process, which is killed
// when ctx ends first. It returns what was wrong with the World, and may be
// called again.
func (p *Process) Stop(ctx context.Context) error {
	p.stdin.Close()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.proc.Kill()
		<-p.done
	}
	if p.err == nil {
		return nil
	}
	complaint, _ := os.ReadFile(filepath.Join(p.dir, worldLog))
	return fmt.Errorf("world: %w: %s", p.err, bytes.TrimSpace(complaint))
}

// Serve is the process that Start runs: it opens the World of the Config on
// descriptor 3, writes one line of JSON to standard output, and serves until
// ctx ends, standard input does, or somebody asks it to stop. SIGTERM, which
// the process gets when its parent dies, should end ctx.
func Serve(ctx context.Context) error {
	cfg, err := readConfig()
	if err != nil {
		return fmt.Errorf("read the world's config: %w", err)
	}
	w, err := Open(cfg)
	if err != nil {
		return errors.Join(err, say(message{Error: err.Error(), Hint: hint.Of(err)}))
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer tidyOrphan(os.Getppid(), cfg.Dir)
	go func() { // ends with the process at the latest
		defer stop()
		io.Copy(io.Discard, os.Stdin)
	}()
	if err := say(w.Ready()); err != nil {
		return errors.Join(err, w.Close())
	}
	select {
	case <-ctx.Done():
	case <-w.Done():
	}
	return errors.Join(w.Err(), w.Close())
}

func readConfig() (c Config, err error) {
	f := os.NewFile(configFD, "config")
	defer f.Close()
	err = json.NewDecoder(f).Decode(&c)
	return c, err
}

// tidyOrphan removes the directory that the parent would have removed, when
// that has been killed.
func tidyOrphan(parent int, dir string) {
	if os.Getppid() != parent {
		os.RemoveAll(dir)
	}
}

func say(line any) error { return json.NewEncoder(os.Stdout).Encode(line) }
