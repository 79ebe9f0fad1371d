package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/state"
)

// served reports whether a live serve follows the document that is wanted.
func (r *run) served(ctx context.Context) (bool, error) {
	current, err := services.Read(r.document())
	if err != nil || !r.sameServices(current) {
		return false, nil
	}
	status, err := services.Ask(ctx, r.runDir())
	return err == nil && status.Serial == current.Serial, nil
}

func (r *run) sameServices(current services.Document) bool {
	a, err := json.Marshal(current)
	b, more := json.Marshal(r.wantServices(current.Serial))
	return err == nil && more == nil && bytes.Equal(a, b)
}

// startServices writes the document and has a detached serve follow it: the
// one that runs, or a new one. It outlives this process.
func (r *run) startServices(ctx context.Context) error {
	doc, err := r.writeServices()
	if err != nil {
		return err
	}
	if err := services.MakeRoom(ctx, r.cluster.FullName(), r.runDir()); err != nil {
		return err
	}
	if r.answering(ctx) {
		return services.WaitServed(ctx, r.runDir(), doc.Serial)
	}
	h, err := services.Start(ctx, services.StartOptions{Exe: r.Exe, Document: r.document(), RunDir: r.runDir(),
		Owner: r.cluster.FullName(), Log: r.serveLog(), Env: r.serveEnv()})
	if err != nil {
		return err
	}
	return r.journal.Append(state.Record{Kind: state.Chose, Serve: &state.Process{PID: h.PID, Start: h.StartTime}})
}

func (p *Project) answering(ctx context.Context) bool {
	_, err := services.Ask(ctx, p.runDir())
	return err == nil
}

// serveEnv is all of the environment that serve gets: no secret is in it.
func (p *Project) serveEnv() (env []string) {
	for _, name := range []string{"PATH", "LANG", "TZ"} {
		if value, ok := p.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// endServes ends all serve and haproxy processes of the cluster.
func (r *run) endServes(ctx context.Context) error {
	handles, err := services.Find(r.cluster.FullName())
	if err != nil {
		return err
	}
	for _, h := range handles {
		if err := services.Stop(ctx, h); err != nil {
			return fmt.Errorf("pid %d: %w", h.PID, err)
		}
	}
	return nil
}

// writeServices replaces the document when it is not as wanted. Its serial
// only grows.
func (r *run) writeServices() (services.Document, error) {
	current, err := services.Read(r.document())
	if err == nil && r.sameServices(current) {
		return current, nil
	}
	serial := max(current.Serial, r.journal.Document().Serial) + 1
	if err := r.journal.Append(state.Record{Kind: state.Chose, Serial: serial}); err != nil {
		return services.Document{}, err
	}
	doc := r.wantServices(serial)
	return doc, services.Write(r.document(), doc)
}

// stopServices ends whatever serves the cluster.
func (r *run) stopServices(ctx context.Context) error {
	if err := r.endServes(ctx); err != nil {
		return err
	}
	err := os.RemoveAll(r.runDir())
	_ = os.Remove(filepath.Dir(r.runDir())) // when it was the last one
	return err
}
