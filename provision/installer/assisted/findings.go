package assisted

import (
	"slices"
	"time"

	"github.com/slipway-project/slipway/provision/installer"
)

// settle is how long a validation must fail before it counts: agents report
// every minute, and rows fail for a moment before the first report.
const settle = 2 * time.Minute

// harmless are validations that the service reports and does not act on.
var harmless = []string{
	"ntp-synced", "mtu-valid", "container-images-available", "inventory-not-partially-truncated",
}

// blocking lists the validations of the cluster and of planned hosts that
// have failed in every poll for settle, and forgets those that no longer do.
func (e *Engine) blocking(c installer.Cluster, seen cluster) []installer.Finding {
	now, still := time.Now(), map[string]time.Time{}
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []installer.Finding
	for _, f := range failedNow(c, seen) {
		key := f.Node + "\x00" + f.ID
		since, known := e.failing[seen.ID][key]
		if !known {
			since = now
		}
		still[key] = since
		if now.Sub(since) >= e.pace.Scale(settle) {
			list = append(list, f)
		}
	}
	e.failing[seen.ID] = still
	return list
}

// failedNow takes a table that does not decode for one without failures:
// newer services may say more than is known here.
func failedNow(c installer.Cluster, seen cluster) []installer.Finding {
	list := findings("", seen.Validations)
	for _, want := range c.Hosts {
		for _, h := range seen.Hosts {
			if h.ID == want.ID.String() {
				list = append(list, findings(want.Node, h.Validations)...)
			}
		}
	}
	return list
}

func findings(node, validations string) []installer.Finding {
	rows, err := failures(validations)
	if err != nil {
		return nil
	}
	var list []installer.Finding
	for _, r := range rows {
		if !slices.Contains(harmless, r.ID) {
			list = append(list, installer.Finding{Node: node, ID: r.ID, Message: shorten(r.Message)})
		}
	}
	return list
}
