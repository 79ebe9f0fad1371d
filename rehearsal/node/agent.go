package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const agentVersion = "quay.io/edge-infrastructure/assisted-installer-agent:latest"

// An agent is the discovery agent of a live system: it registers the host and
// does what the service asks.
type agent struct {
	*system
	service *service
	id      string
	static  StaticNetwork

	once   sync.Once          // of the installation
	halt   context.CancelFunc // ends the installation
	reboot chan struct{}      // closed when the installation asks for it
}

// A step is one instruction.
type step struct {
	Type string   `json:"step_type"`
	ID   string   `json:"step_id"`
	Args []string `json:"args"`
}

// A stepReply is what came of it.
type stepReply struct {
	Type     string `json:"step_type"`
	ID       string `json:"step_id"`
	ExitCode int    `json:"exit_code"`
	Output   string `json:"output"`
	Error    string `json:"error"`
}

// run works until ctx ends.
func (a *agent) run(ctx context.Context) {
	if a.sleep(agentStartTime) != nil {
		return
	}
	a.setUnit("agent", "active", "Started agent.service")
	if a.retry(ctx, agentRetry, func() error { return a.register(ctx) }) != nil {
		return
	}
	for ctx.Err() == nil {
		wait, err := a.round(ctx)
		a.host.stuck(err)
		if err != nil {
			wait = a.afterFailure(ctx, err)
		}
		a.host.hw.Speed.Wait(ctx, wait)
	}
}

// afterFailure registers again when the service has forgotten the host.
func (a *agent) afterFailure(ctx context.Context, err error) time.Duration {
	var refused *refusal
	if !errors.As(err, &refused) || refused.status != http.StatusNotFound {
		return agentBackoff
	}
	if a.retry(ctx, agentRetry, func() error { return a.register(ctx) }) != nil {
		return agentBackoff
	}
	return 0
}

func (a *agent) register(ctx context.Context) error {
	err := a.service.call(ctx, http.MethodPost, "/infra-envs/"+a.service.InfraEnvID+"/hosts",
		map[string]string{"host_id": a.id, "discovery_agent_version": agentVersion}, nil)
	if err != nil {
		return fmt.Errorf("register host: %w", err)
	}
	a.log("agent", "Host %s registered", a.id)
	return nil
}

// round gets the instructions, follows them side by side, and returns how long
// to wait for the next.
func (a *agent) round(ctx context.Context) (time.Duration, error) {
	var steps struct {
		Next         int    `json:"next_instruction_seconds"`
		Instructions []step `json:"instructions"`
	}
	path := a.service.hostPath(a.id) + "/instructions"
	if err := a.service.call(ctx, http.MethodGet, path+"?timestamp="+a.timestamp(), nil, &steps); err != nil {
		return 0, fmt.Errorf("get instructions: %w", err)
	}
	var done sync.WaitGroup
	errs := make([]error, len(steps.Instructions))
	for i, s := range steps.Instructions {
		done.Go(func() { errs[i] = a.follow(ctx, path, s) })
	}
	done.Wait()
	return time.Duration(steps.Next) * time.Second, errors.Join(errs...)
}

func (a *agent) follow(ctx context.Context, path string, s step) error {
	if s.Type == "install" { // takes long, and the agent goes on meanwhile
		a.once.Do(func() {
			ctx, halt := context.WithCancel(ctx)
			a.halt = halt
			a.spawn(func(context.Context) { a.answer(ctx, path, s); halt() })
		})
		return nil
	}
	return a.answer(ctx, path, s)
}

// answer does what a step asks and posts what came of it.
func (a *agent) answer(ctx context.Context, path string, s step) error {
	reply := stepReply{Type: s.Type, ID: s.ID}
	output, err := a.do(ctx, s)
	switch text, ok := output.(string); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		reply.ExitCode, reply.Error = -1, err.Error()
	case ok:
		reply.Output = text
	default:
		data, err := json.Marshal(output)
		if err != nil {
			return err
		}
		reply.Output = string(data)
	}
	a.log("agent", "Step %s ended with exit code %d %s", s.ID, reply.ExitCode, reply.Error)
	return a.service.call(ctx, http.MethodPost, path, reply, nil)
}

// do executes a step; the result is encoded as JSON unless it is a string.
func (a *agent) do(ctx context.Context, s step) (any, error) {
	switch s.Type {
	case "inventory":
		return a.inventory(), a.sleep(inventoryTime)
	case "domain-resolution":
		return a.resolveDomains(ctx, s)
	case "ntp-synchronizer":
		return a.synchronize(s)
	case "installation-disk-speed-check":
		return a.measureDisk(s)
	case "container-image-availability":
		return a.pullImages(s)
	case "install":
		return "", a.install(ctx, s)
	case "stop-installation":
		a.stopInstallation()
		return "", nil
	case "logs-gather":
		return "", nil
	}
	return nil, fmt.Errorf("unexpected step type: %s", s.Type)
}

// stopInstallation ends a cancelled installation; what is on the disk stays.
func (a *agent) stopInstallation() {
	a.once.Do(func() {}) // nor does one begin any more, until the next boot
	if a.halt != nil {
		a.halt()
	}
}

// argument decodes the only argument of a step.
func argument[T any](s step) (v T, err error) {
	if len(s.Args) != 1 {
		return v, fmt.Errorf("step %s: %d arguments, want 1", s.Type, len(s.Args))
	}
	if err := json.Unmarshal([]byte(s.Args[0]), &v); err != nil {
		return v, fmt.Errorf("step %s: %w", s.Type, err)
	}
	return v, nil
}

type resolution struct {
	Name string   `json:"domain_name"`
	IPv4 []string `json:"ipv4_addresses"`
	IPv6 []string `json:"ipv6_addresses"`
}

// resolveDomains asks the host's own resolver; a name that does not resolve is
// reported without addresses.
func (a *agent) resolveDomains(ctx context.Context, s step) (any, error) {
	asked, err := argument[struct {
		Domains []struct {
			Name string `json:"domain_name"`
		}
	}](s)
	if err != nil {
		return nil, err
	}
	reply := struct {
		Resolutions []resolution `json:"resolutions"`
	}{make([]resolution, len(asked.Domains))}
	var done sync.WaitGroup
	for i, d := range asked.Domains {
		done.Go(func() { reply.Resolutions[i] = a.resolve(ctx, d.Name) })
	}
	done.Wait()
	return reply, nil
}

func (a *agent) resolve(ctx context.Context, name string) resolution {
	r := resolution{Name: name, IPv4: []string{}, IPv6: []string{}}
	addrs, _ := a.net.resolver.lookup(ctx, name)
	for _, addr := range addrs {
		if addr.Is4() {
			r.IPv4 = append(r.IPv4, addr.String())
		} else {
			r.IPv6 = append(r.IPv6, addr.String())
		}
	}
	return r
}

type ntpSource struct {
	Name  string `json:"source_name"`
	State string `json:"source_state"`
}

// synchronize says that the clock is in step, for it is that of this machine.
func (a *agent) synchronize(s step) (any, error) {
	asked, err := argument[struct {
		Sources string `json:"ntp_source"`
	}](s)
	sources := []ntpSource{{"2.rhel.pool.ntp.org", "synced"}}
	for name := range strings.SplitSeq(asked.Sources, ",") {
		if name = strings.TrimSpace(name); name != "" {
			sources = append(sources, ntpSource{name, "synced"})
		}
	}
	return map[string]any{"ntp_sources": sources}, err
}

func (a *agent) measureDisk(s step) (any, error) {
	asked, err := argument[struct{ Path string }](s)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{bootDevice, diskID}, asked.Path) || a.host.hw.Disk == nil {
		return nil, fmt.Errorf("%s: no such device", asked.Path)
	}
	return map[string]any{"path": asked.Path, "io_sync_duration": a.host.diskSpeed()}, a.sleep(diskSpeedTime)
}

type imageStatus struct {
	Name   string  `json:"name"`
	Size   float64 `json:"size_bytes"`
	Time   float64 `json:"time"`
	Rate   float64 `json:"download_rate"`
	Result string  `json:"result"`
}

func (a *agent) pullImages(s step) (any, error) {
	asked, err := argument[struct{ Images []string }](s)
	if err != nil {
		return nil, err
	}
	images := []imageStatus{}
	for _, name := range asked.Images {
		const size, rate = 450e6, 60.0
		images = append(images, imageStatus{name, size, size / 1e6 / rate, rate, "success"})
	}
	return map[string]any{"images": images}, a.sleep(imagePullTime)
}
