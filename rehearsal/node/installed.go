package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
)

// An installed system is one that runs from the disk, as part of a cluster.
type installed struct {
	*system
	disk    *Disk
	bundle  Bundle
	cluster *cluster
	member  Member
	config  *machineConfig
}

// bootDisk runs the installed system: the network it was installed with, the
// configuration of its role, then sshd, the kubelet and what that starts.
func (h *Host) bootDisk(ctx context.Context) error {
	if err := h.startup(ctx, diskBootTime); err != nil {
		return err
	}
	h.update(func(s *HostState) { s.Phase = PhaseBooted })
	disk := h.hw.Disk.System()
	s := h.newSystem(ctx, false, disk.machineID)
	defer s.stop()
	i, err := h.load(s, disk)
	if err != nil {
		return err
	}
	if err := i.provision(disk); err != nil {
		return err
	}
	if err := i.start(); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// load reads what is on the disk and configures the network.
func (h *Host) load(s *system, disk *System) (*installed, error) {
	i := &installed{system: s, disk: h.hw.Disk}
	var err error
	if i.bundle, err = readBundle(disk.Ignition); err != nil {
		return nil, err
	}
	if i.member, err = i.bundle.member(h.hostID()); err != nil {
		return nil, err
	}
	s.release = i.bundle.Release
	if _, err = s.joinNetwork(disk.Static); err != nil {
		return nil, err
	}
	if i.cluster, err = openCluster(h.shared, i.bundle, disk.Service); err != nil {
		return nil, err
	}
	s.setName(i.member.Hostname)
	if i.member.Hostname == "" {
		s.nameByDNS()
	}
	return i, nil
}

// provision is the first boot: Ignition fetches the configuration of the role
// before anything else can start, so there is no sshd yet; then the host gets
// its keys and its machine id, which stay.
func (i *installed) provision(disk *System) error {
	i.config = disk.config
	if i.config == nil {
		err := i.retry(i.ctx, ignitionRetry, func() (err error) {
			i.config, err = i.fetchConfig(i.ctx, i.bundle, i.member.Role)
			return err
		})
		if err != nil {
			return err
		}
	}
	// The machine config server sees the balancer's address, not the host's.
	i.cluster.setFetched(i.member.HostID)
	if disk.hostKey == nil {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		disk.hostKey, disk.machineID = key, newMachineID()
	}
	i.machineID = disk.machineID
	return i.disk.keep(func(s *System) { s.config, s.hostKey, s.machineID = i.config, disk.hostKey, disk.machineID })
}

func (i *installed) start() error {
	if err := i.startSSH(i.disk.System().hostKey, i.config.keys); err != nil {
		return err
	}
	i.setUnit("crio", "active", "Started crio.service")
	i.setUnit("kubelet", "activating", "Starting kubelet.service")
	i.spawn(i.runKubelet)
	return nil
}
