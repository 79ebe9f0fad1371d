package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/state"
)

// ErrNotExpired says that a cluster is left alone because its time has not
// come.
var ErrNotExpired = errors.New("nothing to do")

// ErrProtected says that the spec keeps the cluster from being removed.
var ErrProtected = errors.New("protected")

// refuseProtected is an error while the spec says protect = true.
func (p *Project) refuseProtected() error {
	if !p.cluster.Protect {
		return nil
	}
	at := fmt.Sprintf("%s:%d", p.cluster.Range.Filename, p.cluster.Range.Start.Line)
	return hint.With(fmt.Errorf("cluster %s is %w: the cluster block at %s says protect = true", p.cluster.FullName(), ErrProtected, at),
		"to remove it for good, take protect out of that block and run `slipway down` again")
}

// expires is when a cluster begun at created ends by the spec as it is now;
// zero: never.
func (p *Project) expires(created time.Time) time.Time {
	if p.cluster.TTL == 0 || created.IsZero() {
		return time.Time{}
	}
	return created.Add(p.cluster.TTL)
}

// renew records when the cluster ends if the spec's ttl has changed.
func (r *run) renew() error {
	doc := r.journal.Document()
	at := r.expires(doc.Created)
	if at.Equal(doc.Expires) {
		return nil
	}
	return r.journal.Append(state.Record{Kind: state.Renewed, Expires: at})
}

// refuseUnexpired is ErrNotExpired unless the cluster's time has passed. What
// is not known, as its age without a state, is no reason to remove anything.
func (p *Project) refuseUnexpired(doc state.Document) error {
	at, name := p.expires(doc.Created), p.cluster.FullName()
	switch {
	case doc.Created.IsZero():
		return fmt.Errorf("%w: the state here knows no cluster %s", ErrNotExpired, name)
	case at.IsZero():
		return fmt.Errorf("%w: %s has no ttl", ErrNotExpired, name)
	case time.Now().Before(at):
		return fmt.Errorf("%w: %s %s", ErrNotExpired, name, Expiry(at, time.Now()))
	}
	return nil
}

// Expiry says in words how far from now a cluster's end at is.
func Expiry(at, now time.Time) string {
	if now.Before(at) {
		return "expires in " + span(at.Sub(now))
	}
	return "expired " + span(now.Sub(at)) + " ago"
}

// span writes d as 5d3h, 3h12m or 40s.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// checkExpired asks the state without taking the cluster, so that a reaper
// which finds a run under way on a young cluster has nothing to complain of.
func (p *Project) checkExpired(ctx context.Context) error {
	doc, err := p.store.Read(ctx, p.cluster.FullName())
	if err != nil {
		return err
	}
	return p.refuseUnexpired(doc)
}
