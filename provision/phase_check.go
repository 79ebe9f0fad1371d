package provision

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/spec"
)

const checkEvery = 5 * time.Second

// checks are the steps of the spec's check blocks, after those named.
func (r *run) checks(after []string) (steps []phase.Step) {
	for _, c := range r.cluster.Checks {
		steps = append(steps, phase.Step{Name: "check " + c.Label, Phase: phaseJoin, Needs: after, Do: r.check(c),
			Budget: c.Within})
	}
	return steps
}

// check asks for c's URL until the answer is the one wanted. It asks as a
// client of the cluster would: through our names and our load balancer.
func (r *run) check(c spec.Check) func(context.Context) error {
	return func(ctx context.Context) error {
		var last error
		for {
			err := r.ask(ctx, c)
			if err == nil {
				return nil
			}
			if last == nil || ctx.Err() == nil {
				last = err
			}
			if waitErr := r.Pace.Wait(ctx, checkEvery); waitErr != nil {
				return hint.With(fmt.Errorf("%w: %w", waitErr, last),
					fmt.Sprintf("the check stands at %s:%d; `slipway wait` asks again", c.Range.Filename, c.Range.Start.Line))
			}
		}
	}
}

func (r *run) ask(ctx context.Context, c spec.Check) error {
	roots, err := r.roots(ctx)
	if err != nil {
		return err
	}
	status, err := request{c.Get, r.resolver(), roots, c.Status/100 != 3}.status(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", c.Get, plain(err))
	case status != c.Status:
		return fmt.Errorf("%s answers %d, not %d", c.Get, status, c.Status)
	}
	return nil
}

// resolver is the DNS server that the cluster's nodes ask.
func (r *run) resolver() netip.AddrPort {
	if server := r.cluster.Services.DNS.Server; server.IsValid() {
		return server
	}
	return netip.AddrPortFrom(r.cluster.Services.Addresses()[0], dnsPort)
}

// roots are those of this host, and those by which a new cluster signs: that
// of its API and that of its ingress, which signs the console.
func (r *run) roots(ctx context.Context) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil { // a host without a trust store
		pool = x509.NewCertPool()
	}
	data, err := os.ReadFile(r.Kubeconfig())
	if errors.Is(err, fs.ErrNotExist) {
		return pool, nil
	}
	if err != nil {
		return nil, err
	}
	k, err := kube.Parse(data)
	if err != nil {
		return nil, err
	}
	pool.AppendCertsFromPEM(k.CA)
	var ingress []byte
	err = r.withAPI(func(client *kube.Client) (err error) {
		ingress, err = client.IngressCA(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the CA of the ingress: %w", err)
	}
	pool.AppendCertsFromPEM(ingress)
	return pool, nil
}
