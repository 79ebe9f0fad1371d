package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// A system is an operating system that runs on a host.
type system struct {
	*group
	host      *Host
	net       *network
	live      bool
	release   string // OpenShift version, "" for a live system
	bootID    string
	machineID string
	booted    time.Time

	mu       sync.Mutex
	hostname string
	units    map[string]string // unit -> ActiveState
	journal  []entry

	transports []*http.Transport
}

// stop ends the system: its processes, then the connections they left open.
func (s *system) stop() {
	s.group.stop()
	for _, t := range s.transports {
		t.CloseIdleConnections()
	}
}

// An entry is a line in the journal.
type entry struct {
	at         time.Time
	unit, text string
}

func (h *Host) newSystem(ctx context.Context, live bool, machineID string) *system {
	s := &system{
		group: newGroup(ctx), host: h, live: live, bootID: uuid.NewString(), machineID: machineID,
		booted: time.Now(), hostname: localhost, units: map[string]string{},
	}
	for _, unit := range []string{"NetworkManager", "chronyd", "dbus-broker", "sshd", "systemd-journald"} {
		s.units[unit+".service"] = "active"
	}
	for _, unit := range []string{"crio", "kubelet"} {
		s.units[unit+".service"] = "inactive"
	}
	return s
}

// localhost is the name of a host that nobody gave one.
const localhost = "localhost"

func newMachineID() string {
	id := make([]byte, 16)
	rand.Read(id)
	return hex.EncodeToString(id)
}

// setUnit moves a unit to another state and says so in the journal.
func (s *system) setUnit(unit, state, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units[unit+".service"] = state
	s.journal = append(s.journal, entry{time.Now(), unit + ".service", text})
}

// log adds a line to the journal.
func (s *system) log(unit, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = append(s.journal, entry{time.Now(), unit + ".service", fmt.Sprintf(format, args...)})
}

func (s *system) unit(name string) (state string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, known = s.units[name]
	return state, known
}

// failed lists the units that failed, in order.
func (s *system) failed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, unit := range slices.Sorted(maps.Keys(s.units)) {
		if s.units[unit] == "failed" {
			list = append(list, unit)
		}
	}
	return list
}

// entries returns the last n lines of unit's journal; all units for "".
func (s *system) entries(unit string, n int) []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []entry
	for _, e := range s.journal {
		if unit == "" || e.unit == unit {
			list = append(list, e)
		}
	}
	return list[max(0, len(list)-n):]
}

// name is the host name in force.
func (s *system) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hostname
}

func (s *system) setName(name string) {
	s.mu.Lock()
	s.hostname = name
	s.mu.Unlock()
	s.host.update(func(h *HostState) { h.Hostname = name })
}

// nameByDNS takes the first name that DNS has for one of the addresses.
func (s *system) nameByDNS() {
	for _, addr := range s.net.addrs() {
		if name := s.net.resolver.reverse(s.ctx, addr); name != "" {
			s.setName(name)
			return
		}
	}
	s.setName(localhost)
}

// serve accepts connections on port until the system ends.
func (s *system) serve(port int, handle func(l net.Listener)) error {
	listeners, err := s.net.listen(port)
	if err != nil {
		return err
	}
	for _, l := range listeners {
		context.AfterFunc(s.ctx, func() { l.Close() })
		s.running.Go(func() { handle(l) })
	}
	return nil
}

// sleep waits for d of the simulated hardware.
func (s *system) sleep(d time.Duration) error { return s.host.hw.Speed.Sleep(s.ctx, d) }

// retry calls do until it succeeds or ctx ends, every wait; meanwhile the host
// is stuck with the last error.
func (s *system) retry(ctx context.Context, wait time.Duration, do func() error) error {
	for {
		err := do()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.host.stuck(err)
		if err == nil {
			return nil
		}
		if err := s.host.hw.Speed.Wait(ctx, wait); err != nil {
			return err
		}
	}
}
