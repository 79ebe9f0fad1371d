package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/state"
)

// served reports whether what is wanted is served wherever it has to be.
func (r *run) served(ctx context.Context) (bool, error) {
	current, err := services.Read(r.document())
	if err != nil || !r.sameServices(current) {
		return false, nil
	}
	for _, at := range r.servings() {
		status, err := at.status(ctx)
		if err != nil || status.Serial != current.Serial {
			return false, nil
		}
	}
	return true, nil
}

func (r *run) sameServices(current services.Document) bool {
	a, err := json.Marshal(current)
	b, more := json.Marshal(r.wantServices(current.Serial))
	return err == nil && more == nil && bytes.Equal(a, b)
}

// startServices writes the document and has it served. What serves it outlives
// this process.
func (r *run) startServices(ctx context.Context) error {
	doc, err := r.writeServices()
	if err != nil {
		return err
	}
	return r.haveServed(ctx, doc.Serial)
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

// stopServices ends whatever serves the cluster, here and on its hosts.
func (r *run) stopServices(ctx context.Context) error {
	places := r.servings()
	if !slices.ContainsFunc(places, func(s servingAt) bool { _, local := s.serving.(*here); return local }) {
		places = append(places, servingAt{serving: &here{Project: r.Project}}) // of a spec that said otherwise
	}
	var errs []error
	for _, at := range places {
		if err := at.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("services on %s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}
