package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/loadbalancer"
)

// StartOptions say how a detached `slipway serve` is started.
type StartOptions struct {
	Exe      string   // the slipway program
	Document string   // path
	RunDir   string   // path
	Owner    string   // full cluster name; the mark in the process's arguments
	Log      string   // file its output is appended to, made 0600
	Env      []string // its environment; nil: ours
}

// A Handle is a serve process, or a haproxy that one left behind. It is kept
// in the state; pid and start time together are never another process.
type Handle struct {
	PID       int    `json:"pid"`
	StartTime string `json:"start_time"` // clock ticks since boot
	Owner     string `json:"owner"`      // full cluster name
	RunDir    string `json:"run_dir"`
}

func (h Handle) id() process.ID {
	return process.ID{PID: h.PID, Start: h.StartTime}
}

// endTime is what a process gets between SIGTERM and SIGKILL.
const endTime = 10 * time.Second

// Start starts `slipway serve`, detached so that it outlives us, and waits
// until it serves the document. Otherwise it is ended, and the error carries
// what it wrote to its log.
func Start(ctx context.Context, o StartOptions) (Handle, error) {
	d, err := Read(o.Document)
	if err != nil {
		return Handle{}, err
	}
	log, err := os.OpenFile(o.Log, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return Handle{}, fmt.Errorf("log of slipway serve: %w", err)
	}
	defer log.Close()
	before, _ := log.Seek(0, io.SeekEnd)
	h, exited, err := spawn(o, log)
	if err != nil {
		return Handle{}, fmt.Errorf("start slipway serve: %w", err)
	}
	if err := served(ctx, h, exited, d.Serial); err != nil {
		err = errors.Join(err, Stop(context.WithoutCancel(ctx), h))
		return Handle{}, fmt.Errorf("start slipway serve: %w (%s)", err, lastWords(log, before))
	}
	return h, nil
}

// spawn returns the new process and a channel that is closed when it ends; a
// goroutine waits for that, or we would keep a zombie of it.
func spawn(o StartOptions, log *os.File) (Handle, <-chan struct{}, error) {
	document, err := filepath.Abs(o.Document)
	runDir, rerr := filepath.Abs(o.RunDir)
	if err := errors.Join(err, rerr); err != nil {
		return Handle{}, nil, err
	}
	cmd := exec.Command(o.Exe, "serve", "--document", document, "--run-dir", runDir, "--owner", o.Owner)
	cmd.Dir, cmd.Env = "/", o.Env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Handle{}, nil, err
	}
	p, err := process.Identify(cmd.Process.Pid)
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	return Handle{p.PID, p.Start, o.Owner, runDir}, exited, err
}

// served waits like [WaitServed], but not for a process that has ended.
func served(ctx context.Context, h Handle, exited <-chan struct{}, serial uint64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-exited:
			cancel(errors.New("it ended at once"))
		case <-ctx.Done():
		}
	}()
	return WaitServed(ctx, h.RunDir, serial)
}

// lastWords returns the last lines of what was written to a log after start.
func lastWords(log *os.File, start int64) string {
	end, err := log.Seek(0, io.SeekEnd)
	if err != nil || end <= start {
		return "it wrote nothing to its log"
	}
	b := make([]byte, min(2048, end-start))
	n, _ := log.ReadAt(b, end-int64(len(b)))
	lines := bytes.Split(bytes.TrimSpace(b[:n]), []byte("\n"))
	return "its log ends: " + string(bytes.Join(lines[max(0, len(lines)-5):], []byte(" | ")))
}

// Find returns the serve processes of the cluster that run on this host, for
// our user, in our network namespace, and then the haproxy processes that
// such ones run or left. It looks at arguments of processes only, so it works
// after the state was lost.
func Find(owner string) ([]Handle, error) {
	found, err := Serving(owner)
	if err != nil {
		return nil, err
	}
	balancers, err := loadbalancer.Running(owner)
	if err != nil {
		return nil, err
	}
	for _, p := range balancers {
		found = append(found, Handle{p.PID, p.Start, owner, filepath.Dir(option(p.Args(), "-f"))})
	}
	return found, nil
}

// isServe reports whether args are those of a serve process of the owner;
// "" is any.
func isServe(args []string, owner string) bool {
	if len(args) < 2 || !slices.Contains(args[1:], "serve") || option(args, "--document") == "" {
		return false
	}
	whose := option(args, "--owner")
	return whose != "" && (owner == "" || whose == owner)
}

// Serving returns the serve processes of this host, for our user, in our
// network namespace: those of one cluster, or with "" all.
func Serving(owner string) ([]Handle, error) {
	serves, err := process.List(func(args []string) bool { return isServe(args, owner) })
	var found []Handle
	for _, p := range serves {
		args := p.Args()
		found = append(found, Handle{p.PID, p.Start, option(args, "--owner"), option(args, "--run-dir")})
	}
	return found, err
}

// option returns the value of a long or short option in args.
func option(args []string, name string) string {
	for i, a := range args {
		if a == name && i+1 < len(args) {
			return args[i+1]
		}
		if value, ok := strings.CutPrefix(a, name+"="); ok {
			return value
		}
	}
	return ""
}

// MakeRoom ends the serve and haproxy processes of the cluster that would be in
// the way of a serve in runDir: those of other run directories (the state was
// lost and begun anew), and, unless the one of runDir answers, that one. Its
// haproxy goes on, for the next serve to take over.
func MakeRoom(ctx context.Context, owner, runDir string) error {
	found, err := Find(owner)
	if err != nil {
		return err
	}
	_, silent := Ask(ctx, runDir)
	for _, h := range found {
		switch {
		case h.RunDir != runDir:
			err = Stop(ctx, h)
		case silent != nil && isServe(h.id().Args(), owner):
			err = h.id().End(ctx, endTime)
		}
		if err != nil {
			return fmt.Errorf("pid %d: %w", h.PID, err)
		}
	}
	return nil
}

// Alive reports whether h still runs.
func Alive(h Handle) bool { return h.id().Alive() }

// Stop ends h: SIGTERM, after 10 s or when ctx ends SIGKILL; and then the
// haproxy it may have left. What is gone already is no error.
func Stop(ctx context.Context, h Handle) error {
	if err := h.id().End(ctx, endTime); err != nil {
		return fmt.Errorf("stop slipway serve: %w", err)
	}
	left, err := loadbalancer.Running(h.Owner)
	if err != nil {
		return err
	}
	for _, p := range left {
		if filepath.Dir(option(p.Args(), "-f")) == h.RunDir {
			err = errors.Join(err, p.End(ctx, endTime))
		}
	}
	return err
}

// Quit asks the serve process that has the run directory to stop, and waits
// until it has: with its sockets closed and its haproxy ended.
func Quit(ctx context.Context, runDir string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*endTime)
	defer cancel()
	st, err := Ask(ctx, runDir)
	if err != nil {
		return err
	}
	p, err := process.Identify(st.PID)
	if err != nil {
		return nil // it ended meanwhile
	}
	if _, err := exchange(ctx, socketPath(runDir), http.MethodPost, "/stop", nil); err != nil {
		return fmt.Errorf("stop slipway serve: %w", err)
	}
	return p.Wait(ctx)
}
