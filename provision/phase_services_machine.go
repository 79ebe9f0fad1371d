package provision

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/provision/event"
	"github.com/slipway-project/slipway/provision/media"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
)

// servicesMachineSteps make the machine that the services run on, and switch
// it on. Whether it lets anybody in is for those who log in.
func (r *run) servicesMachineSteps() []phase.Step {
	n := r.cluster.Services.Machine.Node
	return []phase.Step{
		{Name: "cloud image", Phase: phaseServices, Needs: []string{"allocate"}, Done: r.cloudStored, Do: r.storeCloudImage,
			Budget: 15 * time.Minute, Ceiling: 2 * time.Hour},
		{Name: "machine services", Phase: phaseServices, Needs: []string{"cloud image"}, Resource: resourceProvider,
			Done: r.servicesMade, Do: r.makeServicesMachine, Budget: 15 * time.Minute},
		{Name: "boot services", Phase: phaseServices, Needs: []string{"machine services"}, Resource: resourceProvider,
			Done: r.running(n), Do: r.bootServicesMachine, Budget: 5 * time.Minute},
	}
}

// cloudImager is the provider of a cluster with a services machine, which can
// make it: see Open.
func (p *Project) cloudImager() provider.CloudImager { return p.provider.(provider.CloudImager) }

// images keeps cloud images for all clusters of the user.
func (p *Project) images() media.Fetcher {
	dir, _ := p.LookupEnv("XDG_CACHE_HOME")
	if !filepath.IsAbs(dir) {
		home, _ := p.LookupEnv("HOME")
		dir = filepath.Join(home, ".cache")
	}
	return media.Fetcher{Dir: filepath.Join(dir, "slipway", "images"), Pace: p.Pace}
}

// cloudSource is where the services machine's image comes from.
func (p *Project) cloudSource() media.Source {
	image := p.cluster.Services.Machine.Image
	if image.URL == "" {
		return media.Source{URL: media.Debian}
	}
	return media.Source{URL: image.URL, SHA256: image.SHA256}
}

// servicesThere returns the services machine as it was found; whole says that
// nothing is left to be made of it. One whose making was cut off has the disk
// of its image.
func (r *run) servicesThere() (there, whole bool) {
	m, there := r.machine(spec.ServicesName)
	return there, there && m.Disk >= r.cluster.Services.Machine.Disk
}

// cloudStored reports whether the image is where the machine can be made of
// it, or needed no more.
func (r *run) cloudStored(ctx context.Context) (bool, error) {
	doc := r.journal.Document()
	known := doc.Cloud != nil && doc.Cloud.Ref != ""
	there, whole := r.servicesThere()
	switch {
	case whole || there && known:
		return true, nil
	case !known || doc.Cloud.Place != doc.Machines[spec.ServicesName].Place:
		return false, nil
	}
	refs, err := r.cloudImager().Disks(ctx, r.mark())
	return slices.Contains(refs, doc.Cloud.Ref), err
}

// storeCloudImage fetches the image, unless another cluster had it before, and
// puts it where the machine is going to be.
func (r *run) storeCloudImage(ctx context.Context) error {
	img, err := r.images().Fetch(ctx, r.cloudSource(), r.cluster.FullName(), func(got, total int64) {
		r.transfer(ctx, "fetching cloud image", got, total)
	})
	if err != nil {
		return err
	}
	chosen := state.Image{Name: img.Name, Size: img.Size, SHA256: img.SHA256, Place: r.journal.Document().Machines[spec.ServicesName].Place}
	if err := r.journal.Append(state.Record{Kind: state.Chose, Cloud: &chosen}); err != nil {
		return err
	}
	chosen.Ref, err = r.cloudImager().PutDisk(ctx, img, []string{chosen.Place}, func(sent int64) {
		r.transfer(ctx, "uploading cloud image", sent, img.Size)
	})
	if err != nil {
		return err
	}
	return r.journal.Append(state.Record{Kind: state.Chose, Cloud: &chosen})
}

// servicesMade reports whether the machine is there, and its image is no more.
func (r *run) servicesMade(context.Context) (bool, error) {
	switch r.journal.Document().Steps["machine services"].Kind {
	case state.Intent, state.Handle, state.Failed:
		return false, nil // the run before was cut off
	}
	_, whole := r.servicesThere()
	return whole, nil
}

// makeServicesMachine makes the machine of its image, or goes on making it,
// and drops the image. A machine that is made anew has another host key.
func (r *run) makeServicesMachine(ctx context.Context) error {
	n := r.cluster.Services.Machine.Node
	if there, _ := r.servicesThere(); !there {
		if err := r.hosts.Forget(servicesHost); err != nil {
			return err
		}
	}
	made, err := r.create(ctx, n, r.ensureServicesMachine)
	if err != nil {
		return err
	}
	for _, why := range made.Adrift {
		r.emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("%s stays as it is: %s", n.Full, why)})
	}
	return r.dropCloudImages(ctx)
}

// ensureServicesMachine makes m as the spec has it now. Where its first id was
// taken it may have got another place, to which its image follows.
func (r *run) ensureServicesMachine(ctx context.Context, m provider.Machine) (provider.Machine, error) {
	want := r.wantMachine(r.cluster.Services.Machine.Node, r.mark())
	want.ID, want.Place = m.ID, m.Place
	stored, err := r.cloudStored(ctx)
	if err == nil && !stored {
		err = r.storeCloudImage(ctx)
	}
	if err != nil {
		return m, err
	}
	return r.cloudImager().EnsureCloud(ctx, want, r.cloudConfig())
}

// cloudConfig is what cloud-init sets up: a user that the cluster's own key
// lets in, and those of the spec.
func (r *run) cloudConfig() provider.CloudConfig {
	m := r.cluster.Services.Machine
	c := provider.CloudConfig{User: m.User, Keys: []ssh.PublicKey{r.signer.PublicKey()},
		Addresses:   []netip.Prefix{netip.PrefixFrom(m.Address, m.Network.CIDR.Bits())},
		Gateways:    []netip.Addr{m.Network.Gateway},
		Nameservers: m.Network.Upstream}
	if cloud := r.journal.Document().Cloud; cloud != nil {
		c.Image = cloud.Ref
	}
	if server := r.cluster.Services.DNS.Server; server.IsValid() {
		c.Nameservers = []netip.Addr{server.Addr()}
	}
	for i, line := range r.cluster.SSH.AuthorizedKeys {
		key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err == nil && len(options) > 0 {
			r.once(fmt.Sprintf("SSH key %d of the spec is not given to %s: its options would be lost", i+1, m.Full))
			continue
		}
		if err == nil {
			c.Keys = append(c.Keys, key)
		}
	}
	return c
}

func (r *run) bootServicesMachine(ctx context.Context) error {
	m := r.journal.Document().Machines[spec.ServicesName]
	if r.hosts.Entry(servicesHost).Algorithms() != nil { // it has let us in before
		r.emit(event.Event{Kind: event.Note, Message: m.Name + " was off, and with it the services: it is switched on again"})
	}
	if err := r.provider.PowerOn(ctx, m); err != nil {
		return err
	}
	m.Power = provider.PowerOn
	r.saw(m)
	return nil
}

// dropCloudImages removes what machines of cloud images were made of.
func (r *run) dropCloudImages(ctx context.Context) error {
	clouds, ok := r.provider.(provider.CloudImager)
	if !ok {
		return nil
	}
	refs, err := clouds.Disks(ctx, provider.Mark{Cluster: r.cluster.FullName()})
	if err != nil {
		return err
	}
	return r.drop(ctx, "cloud image", refs)
}
