package provision

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/spec"
)

// labelled reports whether n's node object has the labels of the spec. Other
// labels on it are none of our business.
func (r *run) labelled(n spec.Node) func(context.Context) (bool, error) {
	return func(ctx context.Context) (done bool, err error) {
		err = r.withAPI(func(c *kube.Client) error {
			have, err := c.Labels(ctx, n.Full)
			done = err == nil && contains(have, n.Labels)
			return err
		})
		return done, err
	}
}

func contains(have, want map[string]string) bool {
	for key, value := range want {
		if got, ok := have[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// label puts the labels of the spec on n's node object.
func (r *run) label(n spec.Node) func(context.Context) error {
	return func(ctx context.Context) error {
		return r.withAPI(func(c *kube.Client) error {
			if err := c.Label(ctx, n.Full, n.Labels); err != nil {
				return fmt.Errorf("label node %s: %w", n.Full, err)
			}
			return nil
		})
	}
}

// withAPI opens the cluster's API at the load balancer for one call of f, which
// must be safe to repeat: where there are two balancers, one may be down.
func (p *Project) withAPI(f func(*kube.Client) error) (err error) {
	for _, at := range p.apiAddresses() {
		client, openErr := p.api(at)
		if openErr != nil {
			return openErr
		}
		err = f(client)
		client.Close()
		if err == nil {
			if p.answered != nil {
				p.answered.Store(&at)
			}
			return nil
		}
	}
	return err
}

// apiAddresses begin with the one that answered last: one that does not is
// waited for.
func (p *Project) apiAddresses() []netip.Addr {
	all := slices.Clone(p.cluster.Services.API())
	if p.answered == nil || p.answered.Load() == nil {
		return all
	}
	if i := slices.Index(all, *p.answered.Load()); i > 0 {
		all[0], all[i] = all[i], all[0]
	}
	return all
}
