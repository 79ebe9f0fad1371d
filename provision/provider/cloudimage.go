package provider

import (
	"context"
	"net/netip"

	"golang.org/x/crypto/ssh"
)

// A CloudImager is a Provider that makes machines of cloud images: disk
// images of an installed system that configures itself with cloud-init when
// it first starts.
type CloudImager interface {
	// PutDisk stores img, a disk image whose name ends in .qcow2 or .raw, as
	// [ImageStore.Put] stores boot images. Machines keep nothing of it:
	// [ImageStore.Drop] may remove it as soon as they are made.
	PutDisk(ctx context.Context, img Image, places []string, progress func(sent int64)) (ref string, err error)
	// Disks lists the references of the disk images of owner.
	Disks(ctx context.Context, owner Mark) ([]string, error)
	// EnsureCloud is [Provider.Ensure] for a machine whose disk begins as a
	// copy of a cloud image and is grown to m.Disk. It starts nothing, and
	// changes nothing about a machine that is there but the size of its disk;
	// what else differs from c is in Adrift.
	EnsureCloud(ctx context.Context, m Machine, c CloudConfig) (Machine, error)
}

// A CloudConfig is what cloud-init sets up. The host name is the name of the
// machine.
type CloudConfig struct {
	Image       string          // reference from PutDisk; not looked at once the machine is there
	User        string          // who may log in and become root without a password
	Keys        []ssh.PublicKey // of User; comments do not get there
	Addresses   []netip.Prefix  // of the first network device, at most one of each family
	Gateways    []netip.Addr    // at most one of each family that has an address
	Nameservers []netip.Addr    // to ask for names; none: the hypervisor's
}
