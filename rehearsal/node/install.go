package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The stages of an installation, in swagger.yaml's "host-stage".
const (
	stageStarting     = "Starting installation"
	stageInstalling   = "Installing"
	stageWriting      = "Writing image to disk"
	stageRegistry     = "Copying registry data to disk"
	stageControlPlane = "Waiting for control plane"
	stageBootkube     = "Waiting for bootkube"
	stageController   = "Waiting for controller"
	stageRebooting    = "Rebooting"
	stageIgnition     = "Waiting for ignition"
	stageConfiguring  = "Configuring"
	stageJoined       = "Joined"
	stageDone         = "Done"
)

// An installOrder is the argument of the install step (install_cmd_request).
type installOrder struct {
	Role          string `json:"role"` // bootstrap, master, worker
	ClusterID     string `json:"cluster_id"`
	HostID        string `json:"host_id"`
	BootDevice    string `json:"boot_device"`
	ControlPlanes int    `json:"control_plane_count"`
}

// An installation installs a host's disk from its live system.
type installation struct {
	*agent
	ctx     context.Context
	order   installOrder
	system  System // what is written
	cluster *cluster
}

// install does what the order asks; on success the host reboots.
func (a *agent) install(ctx context.Context, s step) error {
	order, err := argument[installOrder](s)
	if err != nil {
		return err
	}
	if err := order.check(a); err != nil {
		return err
	}
	i := &installation{agent: a, ctx: ctx, order: order}
	if err := i.run(); err != nil {
		return err
	}
	a.log("agent", "Installation completed, rebooting")
	close(a.reboot)
	return nil
}

func (o installOrder) check(a *agent) error {
	switch {
	case o.HostID != a.id:
		return fmt.Errorf("install: the order is for host %s", o.HostID)
	case a.host.hw.Disk == nil || o.BootDevice != bootDevice && o.BootDevice != diskID:
		return fmt.Errorf("install: %s: no such device", o.BootDevice)
	}
	return nil
}

func (i *installation) run() error {
	if err := i.stages(
		stage{stageStarting, i.order.Role, startTime},
		stage{stageInstalling, i.order.Role, startTime},
	); err != nil {
		return err
	}
	if err := i.download(); err != nil {
		return err
	}
	switch {
	case i.order.Role == "bootstrap" && i.order.ControlPlanes == 1:
		return i.single()
	case i.order.Role == "bootstrap":
		return i.bootstrap()
	case i.order.Role == "master":
		return i.master()
	case i.order.Role == "worker":
		return i.worker()
	}
	return fmt.Errorf("install: unknown role %q", i.order.Role)
}

// A stage is reported, and then takes a while.
type stage struct {
	name, info string
	takes      time.Duration
}

func (i *installation) stages(list ...stage) error {
	for _, s := range list {
		if err := i.report(s.name, s.info); err != nil {
			return err
		}
		if err := i.host.hw.Speed.Sleep(i.ctx, s.takes); err != nil {
			return err
		}
	}
	return nil
}

// report tells the service the stage, again and again while it is away; a
// refusal ends the installation.
func (i *installation) report(stage, info string) error {
	for {
		err := i.service.progress(i.ctx, i.id, stage, info)
		var refused *refusal
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refused):
			return fmt.Errorf("report %q: %w", stage, err)
		}
		i.host.stuck(err)
		if err := i.host.hw.Speed.Wait(i.ctx, agentRetry); err != nil {
			return err
		}
	}
}

// download fetches the host's Ignition configuration, and with it the bundle.
func (i *installation) download() error {
	var data json.RawMessage
	path := "/infra-env/" + i.service.InfraEnvID + "/hosts/" + i.id + "/downloads/ignition"
	if err := i.service.call(i.ctx, http.MethodGet, path, nil, &data); err != nil {
		return fmt.Errorf("download ignition: %w", err)
	}
	bundle, err := readBundle(data)
	if err != nil {
		return err
	}
	if i.cluster, err = openCluster(i.host.shared, bundle, i.service.Reporter); err != nil {
		return err
	}
	i.system = System{Ignition: data, Static: []StaticNetwork{i.static}, Service: i.service.Reporter}
	return nil
}

// write puts the image on the disk. Until the last block is there, nothing
// boots from it.
func (i *installation) write() error {
	if err := i.host.hw.Disk.wipe(); err != nil {
		return err
	}
	i.host.update(func(s *HostState) { s.Phase = PhaseWriting })
	defer i.host.update(func(s *HostState) { s.Phase = PhaseLive })
	for done := range writeSteps {
		text := fmt.Sprintf("%d%%", done*100/writeSteps)
		if err := i.stages(stage{stageWriting, text, writeTime / writeSteps}); err != nil {
			return err
		}
	}
	if err := i.host.hw.Disk.Install(i.ctx, i.system); err != nil {
		return err
	}
	return i.stages(stage{stageWriting, "100%", 0})
}

func (i *installation) master() error {
	if err := i.write(); err != nil {
		return err
	}
	return i.stages(stage{stageRegistry, "", registryTime + rebootDelay}, stage{stageRebooting, "", 0})
}

// worker waits for the control plane, for its ignition comes from there.
func (i *installation) worker() error {
	if err := i.write(); err != nil {
		return err
	}
	if err := i.stages(stage{stageControlPlane, "", 0}); err != nil {
		return err
	}
	api, err := i.administrator(i.cluster.bundle)
	if err != nil {
		return err
	}
	err = i.retry(i.ctx, waitPoll, func() error { return api.wantReady(i.ctx, "master", i.cluster.wantedMasters()) })
	if err != nil {
		return err
	}
	return i.stages(stage{stageRebooting, "", 0})
}

// bootstrap holds a temporary control plane until enough others have one.
func (i *installation) bootstrap() error {
	if err := i.write(); err != nil {
		return err
	}
	if err := i.stages(stage{stageRegistry, "", registryTime}, stage{stageControlPlane, "", 0}); err != nil {
		return err
	}
	stop, err := i.startBootkube(i.cluster, i.service)
	if err != nil {
		return err
	}
	if err := i.retry(i.ctx, waitPoll, i.cluster.wantMasters); err != nil {
		return err
	}
	if err := i.stages(stage{stageBootkube, "", 0}); err != nil {
		return err
	}
	if err := i.retry(i.ctx, waitPoll, i.cluster.wantControlPlanes); err != nil {
		return err
	}
	if err := i.stages(stage{stageController, "waiting for controller pod ready event", controllerTime}); err != nil {
		return err
	}
	i.cluster.finishBootstrap(i.id)
	stop()
	return i.stages(stage{stageRebooting, "", 0})
}

// single installs the only host of a cluster (bootstrap in place): its live
// system holds a temporary control plane for as long as bootkube works, and
// what comes of it goes on the disk with the configuration.
func (i *installation) single() error {
	if err := i.stages(stage{stageBootkube, "", 0}); err != nil {
		return err
	}
	stop, err := i.startBootkube(i.cluster, i.service)
	if err != nil {
		return err
	}
	if err := i.host.hw.Speed.Sleep(i.ctx, inPlaceTime); err != nil {
		return err
	}
	rendered, err := i.cluster.rendered()
	if err != nil {
		return err
	}
	if i.system.config, err = parseMachineConfig(rendered); err != nil {
		return err
	}
	i.system.static = true
	stop()
	i.cluster.finishBootstrap(i.id)
	if err := i.write(); err != nil {
		return err
	}
	return i.stages(stage{stageRegistry, "", registryTime}, stage{stageRebooting, "", 0})
}
