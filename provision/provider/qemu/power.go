package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/process"
	"github.com/slipway-project/slipway/internal/qemu"
	"github.com/slipway-project/slipway/provision/provider"
)

const (
	answerTime = 15 * time.Second // for a supervisor to say how it is
	beginTime  = 30 * time.Second // for a new supervisor to be there
	endTime    = 10 * time.Second // between SIGTERM and SIGKILL
	beginPoll  = 20 * time.Millisecond
)

// choose returns what decides the accelerator, once: asking takes seconds.
func choose(asked qemu.Accel) func() (qemu.Accel, string, error) {
	if asked != "" {
		return func() (qemu.Accel, string, error) { return asked, "", nil }
	}
	type verdict struct {
		accel qemu.Accel
		why   string
		err   error
	}
	once := sync.OnceValue(func() verdict {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		accel, why, err := qemu.Probe(ctx)
		return verdict{accel, why, err}
	})
	return func() (qemu.Accel, string, error) { v := once(); return v.accel, v.why, v.err }
}

// PowerOn starts m's machine, and a supervisor if the cluster has none. It
// returns when the process runs, which waits while as many machines boot as
// there are processors.
func (p *Provider) PowerOn(ctx context.Context, m provider.Machine) error {
	if err := p.on(ctx, m); err != nil {
		return fmt.Errorf("power on machine %s: %w", m.Name, err)
	}
	return nil
}

func (p *Provider) on(ctx context.Context, m provider.Machine) error {
	if _, err := p.owned(m); err != nil {
		return err
	}
	accel, _, err := p.accel()
	if err != nil {
		return err
	}
	if err := p.summon(ctx, m.Mark.Cluster); err != nil {
		return err
	}
	return p.order(ctx, m, "/on", order{Accel: accel, Limits: p.cfg.Limits})
}

// PowerOff cuts the power at once.
func (p *Provider) PowerOff(ctx context.Context, m provider.Machine) error {
	_, err := p.owned(m)
	if err == nil {
		err = p.off(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("power off machine %s: %w", m.Name, err)
	}
	return nil
}

// off cuts the power. Without a supervisor nothing is on, or about to die.
func (p *Provider) off(ctx context.Context, m provider.Machine) error {
	err := p.order(ctx, m, "/off", order{})
	if absent(err) {
		return evict(ctx, record{Machine: m}.vm(p.dir, order{}))
	}
	return err
}

func (p *Provider) order(ctx context.Context, m provider.Machine, path string, o order) error {
	o.ID = m.ID
	return ask(ctx, socketPath(p.runDir(m.Mark.Cluster)), http.MethodPost, path, o, nil)
}

// absent reports whether nobody listens at the socket, or has just died.
func absent(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}

// status asks the cluster's supervisor; without one, nothing is on.
func (p *Provider) status(ctx context.Context, cluster string) (st Status, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("no answer in %s", answerTime))
	defer cancel()
	err = ask(ctx, socketPath(p.runDir(cluster)), http.MethodGet, "/status", nil, &st)
	switch {
	case absent(err):
		return Status{}, nil
	case err != nil && ctx.Err() != nil:
		return st, hint.With(fmt.Errorf("supervisor of the machines: %w", context.Cause(ctx)),
			"end it with `kill -9 "+p.holder(cluster)+"`: its machines end with it, and `slipway up` starts them again")
	}
	return st, err
}

// holder is the process id in the pid file, for people.
func (p *Provider) holder(cluster string) string {
	id, err := p.supervisor(cluster)
	if err != nil {
		return "PID"
	}
	return fmt.Sprint(id.PID)
}

// supervisor is the process of the pid file, if it is one that runs.
func (p *Provider) supervisor(cluster string) (id process.ID, err error) {
	text, err := os.ReadFile(filepath.Join(p.runDir(cluster), pidFile))
	if err == nil {
		err = json.Unmarshal(text, &id)
	}
	if err == nil && !slices.Equal(tailOf(id.Args(), 5), p.arguments(cluster)[1:]) {
		err = os.ErrProcessDone
	}
	return id, err
}

func tailOf(args []string, n int) []string { return args[max(0, len(args)-n):] }

// arguments are those of a supervisor: they name whose it is.
func (p *Provider) arguments(cluster string) []string {
	return []string{"qemu", "supervise", "--dir", p.dir, "--owner", cluster}
}

// summon starts a supervisor of the cluster, unless one answers.
func (p *Provider) summon(ctx context.Context, cluster string) error {
	p.starting.Lock()
	defer p.starting.Unlock()
	if st, err := p.status(ctx, cluster); err != nil || st.PID != 0 {
		return err
	}
	if err := os.MkdirAll(p.runDir(cluster), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(p.runDir(cluster), logFile), os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := p.begin(ctx, cluster, log); err != nil {
		said, _ := io.ReadAll(io.NewSectionReader(log, before, 4096))
		return fmt.Errorf("start a supervisor of machines: %w (%s)", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// begin starts the process and waits until one answers, this or another that
// was faster.
func (p *Provider) begin(ctx context.Context, cluster string, log *os.File) error {
	cmd := exec.Command(p.exe, p.arguments(cluster)...)
	cmd.Dir, cmd.Env = "/", p.env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	ctx, cancel := context.WithTimeoutCause(ctx, beginTime, fmt.Errorf("it is not there after %s", beginTime))
	defer cancel()
	tick := time.NewTicker(beginPoll)
	defer tick.Stop()
	for {
		if st, err := p.status(ctx, cluster); err != nil || st.PID != 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-exited:
			return errors.New("it ended at once")
		case <-tick.C:
		}
	}
}

// environment is what a supervisor needs, and no secret of the run.
func environment() (env []string) {
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// dismiss ends the cluster's supervisor, by force if it does not listen.
func (p *Provider) dismiss(ctx context.Context, cluster string) error {
	id, err := p.supervisor(cluster)
	if err == nil {
		asking, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		_ = ask(asking, socketPath(p.runDir(cluster)), http.MethodPost, "/stop", nil, nil)
		if err := p.awaitEnd(asking, id); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.runDir(cluster))
}

func (p *Provider) awaitEnd(ctx context.Context, id process.ID) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	if id.Wait(ctx) == nil {
		return nil
	}
	return id.End(context.WithoutCancel(ctx), endTime)
}
