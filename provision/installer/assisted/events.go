package assisted

import (
	"context"
	"net/http"
	"net/url"

	"github.com/slipway-project/slipway/provision/installer"
)

// Events returns what the service noted about the cluster, oldest first, as
// JSON in its own words (GET /v2/events).
func (e *Engine) Events(ctx context.Context, ref installer.Ref) ([]byte, error) {
	query := url.Values{"cluster_id": {ref.ClusterID}, "order": {"ascending"}}
	var events []byte
	err := e.do(ctx, call{method: http.MethodGet, path: "/events?" + query.Encode()}, &events)
	return events, err
}
