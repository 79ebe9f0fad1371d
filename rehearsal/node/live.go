package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
)

// bootLive runs the system of a discovery image: the network that the image
// has for this host, sshd, and the agent. It returns nil to reboot.
func (h *Host) bootLive(ctx context.Context, d Discovery) error {
	if err := h.startup(ctx, liveBootTime); err != nil {
		return err
	}
	h.update(func(s *HostState) { s.Phase = PhaseLive })
	s := h.newSystem(ctx, true, newMachineID())
	defer s.stop()
	own, err := s.joinNetwork(d.Networks)
	if err != nil {
		return err
	}
	s.nameByDNS()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if err := s.startSSH(key, d.SSHKeys); err != nil {
		return err
	}
	a := &agent{system: s, id: h.hostID(), static: own, reboot: make(chan struct{}),
		service: s.service(Reporter{d.ServiceURL, d.AgentToken, d.InfraEnvID})}
	s.setUnit("agent", "activating", "Starting agent.service")
	s.spawn(a.run)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-a.reboot:
		return s.sleep(shutdownTime)
	}
}
