package services

import (
	"context"
	"time"

	"github.com/slipway-project/slipway/loadbalancer"
)

// watchHealth writes a line whenever a member goes up or down, with what the
// check said, until ctx ends.
func (s *server) watchHealth(ctx context.Context) {
	seen := map[string]loadbalancer.Server{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if st, err := s.balancing().Stats(ctx); err == nil {
			s.tellHealth(seen, st.Servers)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tellHealth compares members with how they were seen last.
func (s *server) tellHealth(seen map[string]loadbalancer.Server, now []loadbalancer.Server) {
	for _, m := range now {
		key := m.Frontend + "/" + m.Name
		before, known := seen[key]
		seen[key] = m
		switch {
		case known && before.Up != m.Up:
			s.log("%s is %s, after %s %s: %s", key, direction(m.Up), m.Since.Sub(before.Since), direction(before.Up), m.Check)
		case !known && !m.Up:
			s.log("%s is down: %s", key, m.Check)
		}
	}
}

func direction(up bool) string {
	if up {
		return "up"
	}
	return "down"
}
