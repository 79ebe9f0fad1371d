package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/phase"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
	"github.com/slipway-project/slipway/provision/state"
)

const cloudImage = "QFI\xfb and what else is in an image"

// simulateServices is a cluster with a services machine, whose image is in the
// cache.
func simulateServices(t *testing.T) (*simulated, *clouds) {
	t.Helper()
	cache := t.TempDir()
	sum := sha256.Sum256([]byte(cloudImage))
	digest := hex.EncodeToString(sum[:])
	must(t, os.MkdirAll(filepath.Join(cache, "slipway", "images"), 0o700))
	must(t, os.WriteFile(filepath.Join(cache, "slipway", "images", "sha256-"+digest), []byte(cloudImage), 0o600))
	s := simulate(t.TempDir(), "mycluster", 1, 1)
	lan := spec.Network{Label: "lan", CIDR: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1"), Upstream: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}
	s.cluster.Network, s.cluster.Nodes[0].Network = lan, lan
	s.cluster.Services = spec.Services{Mode: spec.ServicesVM, Address: netip.MustParseAddr("192.0.2.210"), Machine: &spec.ServicesMachine{
		Node: spec.Node{Name: "services", Full: "services.mycluster.lab.test", Role: spec.ServicesRole, CPUs: 2, Memory: 2048, Disk: 20, Network: lan,
			Address: netip.MustParseAddr("192.0.2.210"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 99}, UUID: uuid.UUID{99}},
		Image: spec.CloudImage{URL: "http://192.0.2.9/disk.qcow2", SHA256: digest}, User: "slipway"}}
	s.LookupEnv = func(name string) (string, bool) {
		return map[string]string{"XDG_CACHE_HOME": cache}[name], name == "XDG_CACHE_HOME"
	}
	c := &clouds{script: s.script, disks: map[string]bool{}}
	s.provider = c
	must(t, s.loadKey())
	return s, c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// resumed is a new run over what the last one has left.
func (s *simulated) resumed(t *testing.T) {
	t.Helper()
	s.run = newRun(s.Project, s.journal)
	must(t, s.look(t.Context()))
	must(t, s.identify())
	must(t, s.loadKey())
}

// makeServices carries out the steps up to a machine that is on.
func (s *simulated) makeServices(t *testing.T) {
	t.Helper()
	allocate := phase.Step{Name: "allocate", Phase: phaseMachines, Done: s.allocated, Do: s.allocate, Budget: time.Minute}
	must(t, s.graph(append([]phase.Step{allocate}, s.servicesMachineSteps()...)).Run(t.Context()))
}

// Whatever a run was cut off at, the next one does what is left, and no more.
func TestServicesMachineIsMadeOnce(t *testing.T) {
	const ref = "local:import/slipway-mycluster.lab.test-x.qcow2"
	machine := func(s *simulated, disk int, power provider.Power) provider.Machine {
		m := s.wantMachine(s.cluster.Services.Machine.Node, s.mark())
		m.ID, m.Place, m.Disk, m.Power = "20000", "pve", disk, power
		return m
	}
	for _, tt := range []struct {
		name  string
		left  func(s *simulated, c *clouds) // after a run that went well
		asked []string
		told  string
	}{
		{"nothing was cut off", func(*simulated, *clouds) {}, nil, ""},
		{"before the image was noted to be stored", func(s *simulated, c *clouds) {
			delete(c.machines, "services")
			s.journal.Append(state.Record{Kind: state.Chose, Cloud: &state.Image{Name: "x"}})
		}, []string{"put at [pve]", "make", "drop", "on"}, ""},
		{"after it was", func(s *simulated, c *clouds) {
			delete(c.machines, "services")
			c.disks[ref] = true
			s.journal.Append(state.Record{Kind: state.Chose, Cloud: &state.Image{Name: "x", Ref: ref, Place: "pve"}})
		}, []string{"make", "drop", "on"}, ""},
		{"after its machine had got another place", func(s *simulated, c *clouds) {
			delete(c.machines, "services")
			c.disks[ref] = true
			s.journal.Append(state.Record{Kind: state.Chose, Cloud: &state.Image{Name: "x", Ref: ref, Place: "pve7"}})
		}, []string{"put at [pve]", "make", "drop", "drop", "on"}, ""},
		{"its id was taken, and there is room elsewhere", func(_ *simulated, c *clouds) {
			delete(c.machines, "services")
			c.taken = true
		}, []string{"put at [pve]", "put at [pve2]", "make", "drop", "on"}, ""},
		{"before its disk had grown", func(s *simulated, c *clouds) {
			c.machines["services"], c.disks[ref] = machine(s, 3, provider.PowerOff), true
			s.journal.Append(state.Record{Kind: state.Handle, Step: "machine services", Handle: "UPID"})
		}, []string{"grow", "drop", "on"}, ""},
		{"before its image was dropped", func(s *simulated, c *clouds) {
			c.machines["services"], c.disks[ref] = machine(s, 20, provider.PowerOff), true
			s.journal.Append(state.Record{Kind: state.Intent, Step: "machine services"})
		}, []string{"drop", "on"}, ""},
		{"before it was on", func(s *simulated, c *clouds) { c.machines["services"] = machine(s, 20, provider.PowerOff) }, []string{"on"}, ""},
		{"somebody switched it off", func(s *simulated, c *clouds) {
			must(t, s.hosts.Entry(servicesHost).Check(s.signer.PublicKey()))
			c.machines["services"] = machine(s, 20, provider.PowerOff)
		}, []string{"on"}, "services.mycluster.lab.test was off, and with it the services: it is switched on again"},
		{"somebody removed it", func(_ *simulated, c *clouds) { delete(c.machines, "services") }, []string{"put at [pve]", "make", "drop", "on"}, ""},
		{"the state was lost", func(s *simulated, c *clouds) {
			c.machines["services"] = machine(s, 20, provider.PowerOn)
			s.journal = newLedger("mycluster.lab.test", "mycluster")
		}, nil, ""},
		{"the state was lost before its disk had grown", func(s *simulated, c *clouds) {
			c.machines["services"] = machine(s, 3, provider.PowerOff)
			s.journal = newLedger("mycluster.lab.test", "mycluster")
		}, []string{"put at [pve]", "grow", "drop", "on"}, ""},
		{"the spec has a larger disk", func(s *simulated, _ *clouds) { s.cluster.Services.Machine.Disk = 40 }, []string{"grow"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := simulateServices(t)
				s.makeServices(t)
				if diff := cmp.Diff([]string{"put at [pve]", "make", "drop", "on"}, c.asked); diff != "" {
					t.Fatalf("the first time (-want +got):\n%s", diff)
				}
				c.asked, s.log.seen = nil, nil
				tt.left(s, c)
				s.resumed(t)
				s.makeServices(t)
				if diff := cmp.Diff(tt.asked, c.asked); diff != "" {
					t.Errorf("the second time (-want +got):\n%s", diff)
				}
				if m := c.machines["services"]; len(c.disks) != 0 || m.Power != provider.PowerOn || m.Disk < 20 || m.UUID != (uuid.UUID{99}) {
					t.Errorf("it has %+v, and %d images are left", m, len(c.disks))
				}
				if told := strings.Join(s.lines(), "\n"); !strings.Contains(told, tt.told) {
					t.Errorf("it does not say %q:\n%s", tt.told, told)
				}
			})
		})
	}
}

// The machine lets in the cluster's key and those of the spec that mean the
// same there.
func TestServicesMachineIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulateServices(t)
		const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJpmXqnBVfCTZZfMXoLi8T6XyzVJvYcsLqHlrYVdNyYR"
		s.cluster.SSH.AuthorizedKeys = []string{key + " me@lab", `from="192.0.2.7" ` + key}
		s.makeServices(t)
		got := c.last
		if len(got.Keys) != 2 || string(got.Keys[0].Marshal()) != string(s.signer.PublicKey().Marshal()) {
			t.Errorf("%d keys are let in", len(got.Keys))
		}
		got.Keys, got.Image = nil, ""
		want := provider.CloudConfig{User: "slipway", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.210/24")},
			Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Nameservers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("it is told %v, want %v", got, want)
		}
		if told := strings.Join(s.lines(), "\n"); !strings.Contains(told, "SSH key 2 of the spec is not given to services.mycluster.lab.test: its options would be lost") {
			t.Errorf("of the key with options it says nothing:\n%s", told)
		}
	})
}

// One that is made anew is met anew, one that is there is not.
func TestServicesMachineMadeAnewIsMetAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulateServices(t)
		s.makeServices(t)
		must(t, s.hosts.Entry(servicesHost).Check(s.signer.PublicKey()))
		s.resumed(t)
		s.makeServices(t)
		if s.hosts.Entry(servicesHost).Algorithms() == nil {
			t.Error("the host key of a machine that is there was forgotten")
		}
		delete(c.machines, "services")
		s.resumed(t)
		s.makeServices(t)
		s.resumed(t)
		if s.hosts.Entry(servicesHost).Algorithms() != nil {
			t.Error("the host key of a machine that is gone is known")
		}
	})
}

// It gets its id like a node's machine, and takes no part in what only nodes
// have: the boot image, the number of nodes.
func TestServicesMachineIsNoNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := simulateServices(t)
		s.makeServices(t)
		known := s.journal.Document().Machines
		if len(known) != 2 || known["services"].ID == known["control-0"].ID || !slices.Contains(known["services"].Tags, "services") {
			t.Errorf("machines %+v", known)
		}
		m := known["services"]
		m.Place = "elsewhere"
		known = maps.Clone(known)
		known["services"] = m
		if got := fmt.Sprint(places(known)); got != "[pve]" {
			t.Errorf("the boot image goes to %s", got)
		}
		l := Listed{}
		l.describe(s.journal.Document())
		if l.Nodes != 1 {
			t.Errorf("%d nodes are listed", l.Nodes)
		}
		if got := objects(s.journal.Document()); !slices.ContainsFunc(got, func(what string) bool { return strings.HasPrefix(what, "cloud image slipway-mycluster") }) ||
			!slices.Contains(got, "machine services.mycluster.lab.test (20000 on pve)") {
			t.Errorf("made so far: %v", got)
		}
		var names []string
		for _, step := range s.run.steps() {
			names = append(names, step.Name)
		}
		if slices.Contains(names, "repair services") || !slices.Contains(names, "boot services") {
			t.Errorf("steps %v", names)
		}
	})
}

// Down takes the machine and its image, which it finds without a state.
func TestServicesMachineGoesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulateServices(t)
		s.makeServices(t)
		c.disks["local:import/left-behind.qcow2"] = true
		s.journal = newLedger("mycluster.lab.test", "mycluster")
		s.resumed(t)
		must(t, s.graph(s.teardown()).Undo(t.Context()))
		must(t, s.verifyGone(t.Context(), nil))
		if len(c.machines) != 0 || len(c.disks) != 0 {
			t.Errorf("left: %v, %v", c.machines, c.disks)
		}
	})
}

// A machine that starts is waited for; what cannot pass is told at once, with
// what to do.
func TestServicesMachineThatLetsNobodyIn(t *testing.T) {
	s := simulate(t.TempDir(), "mycluster", 1, 1)
	m := &servicesMachine{Project: s.Project, machine: spec.ServicesMachine{Node: spec.Node{Full: "services.mycluster.lab.test"}}}
	at := netip.MustParseAddrPort("192.0.2.210:22")
	for _, tt := range []struct {
		name   string
		err    error
		waited time.Duration
		waits  bool
		want   string
		advice string
	}{
		{"it boots", &sshx.Error{Class: sshx.Unreachable, Address: at, Err: syscall.EHOSTUNREACH}, time.Minute, true, "", ""},
		{"it boots no more", &sshx.Error{Class: sshx.Refused, Address: at, Err: syscall.ECONNREFUSED}, 11 * time.Minute, false,
			"it has let nobody in for 11m0s: ssh 192.0.2.210:22: refused: connection refused", "look at its console in the provider"},
		{"cloud-init is at work", &sshx.Error{Class: sshx.Auth, Address: at, Err: errors.New("no")}, time.Minute, true, "", ""},
		{"it knows another key", &sshx.Error{Class: sshx.Auth, Address: at, Err: errors.New("no")}, 3 * time.Minute, false,
			"ssh 192.0.2.210:22: login refused: no", "it knows another key than this state has"},
		{"it is another one", &sshx.Error{Class: sshx.HostKey, Address: at, Err: &sshx.KeyError{Want: "SHA256:a", Got: "SHA256:b"}}, 0, false,
			"ssh 192.0.2.210:22: host key changed: host key is SHA256:b, known was SHA256:a", "another machine has its address"},
		{"there is no key", os.ErrNotExist, 0, false, "file does not exist", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := m.mayPass(tt.err, tt.waited); got != tt.waits {
				t.Fatalf("waits: %v, want %v", got, tt.waits)
			}
			if tt.waits {
				return
			}
			err := m.explain(tt.err, tt.waited)
			if err.Error() != tt.want || !strings.HasPrefix(hint.Of(err), tt.advice) || phase.Classify(err) != phase.Never {
				t.Errorf("%v (%s), class %v; want %s (%s …)", err, hint.Of(err), phase.Classify(err), tt.want, tt.advice)
			}
		})
	}
}

// Its image is looked for before anything is made, as long as it is wanted.
func TestServicesMachineIsCheckedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulateServices(t)
		mark := provider.Mark{Cluster: s.cluster.FullName()}
		want := s.wantProvider(mark)
		if problems := s.checkCloudImage(t.Context(), &want); problems != nil || !want.Cloud || want.CloudBytes != int64(len(cloudImage)) ||
			want.Machines[0].Name != "services.mycluster.lab.test" || fmt.Sprint(want.Addresses[want.Machines[0].Name]) != "[192.0.2.210]" {
			t.Errorf("problems %v, it wants %+v", problems, want)
		}
		s.cluster.Services.Machine.Image.SHA256 = "abcd"
		if problems := s.checkCloudImage(t.Context(), &want); len(problems) != 1 || !problems[0].Fatal || problems[0].What != `cloud image: "abcd" is not a SHA-256 digest` {
			t.Errorf("of an image that is none: %+v", problems)
		}
		c.machines["services"] = provider.Machine{Node: "services"}
		want = s.wantProvider(mark)
		if problems := s.checkCloudImage(t.Context(), &want); problems != nil || want.Cloud {
			t.Errorf("of a machine that is there: %+v", problems)
		}
		s.Exe = "/etc/passwd"
		if problems := s.checkServices(t.Context()); len(problems) != 1 || !problems[0].Fatal || !strings.HasPrefix(problems[0].What, "this slipway is no program for Linux") {
			t.Errorf("of a program that runs nowhere else: %+v", problems)
		}
	})
}

// A machine that has served keeps its address.
func TestServicesMachineDoesNotMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := simulateServices(t)
		s.makeServices(t)
		_, err := s.writeServices()
		must(t, err)
		must(t, s.refuseMove())
		s.cluster.Services.Machine.Address = netip.MustParseAddr("192.0.2.211")
		must(t, s.refuseMove()) // nobody has ever been there
		must(t, s.hosts.Entry(servicesHost).Check(s.signer.PublicKey()))
		err = s.refuseMove()
		if err == nil || !strings.Contains(err.Error(), "machine services.mycluster.lab.test has the address 192.0.2.210, and the spec says 192.0.2.211") {
			t.Errorf("error %v", err)
		}
	})
}
