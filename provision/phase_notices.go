package provision

import (
	"context"

	"github.com/slipway-project/slipway/provision/provider"
)

// tellNotices warns of what the provider has met while the run waits, each of
// it once.
func (r *run) tellNotices(ctx context.Context) {
	watcher, ok := r.provider.(provider.Noticer)
	if !ok {
		return
	}
	all, err := watcher.Notices(ctx, r.mark())
	if err != nil {
		all = []string{err.Error()}
	}
	for _, notice := range all {
		if ctx.Err() == nil {
			r.once(notice)
		}
	}
}
