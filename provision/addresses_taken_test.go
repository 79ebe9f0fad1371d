package provision

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-project/slipway/provision/probe"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/spec"
)

func TestClaims(t *testing.T) {
	node := spec.Node{Name: "control-0", Full: "control-0.mycluster.lab.test", Address: netip.MustParseAddr("192.0.2.201"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	services := spec.Node{Full: "services.mycluster.lab.test", Role: spec.ServicesRole, Address: netip.MustParseAddr("192.0.2.210"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	other, former := net.HardwareAddr{2, 0, 0, 0, 0, 9}, net.HardwareAddr{2, 0, 0, 0, 0, 8}
	machines := func() []provider.Machine {
		return []provider.Machine{{Node: "worker-0", NICs: []provider.NIC{{MAC: other}}}, {Node: "control-0", NICs: []provider.NIC{{MAC: former}}}}
	}
	unasked := errors.New("operation not permitted")
	for _, tt := range []struct {
		name  string
		claim claim
		want  []provider.Problem
	}{
		{"nobody's", claim{node: node}, nil},
		{"the node's own", claim{node: node, by: probe.Neighbour{MAC: node.MAC}}, nil},
		{"of the node's machine, when it had another MAC", claim{node: node, by: probe.Neighbour{MAC: former}}, nil},
		{"of a router that answers for everybody", claim{node: node, by: probe.Neighbour{MAC: other}, router: other}, nil},
		{"another host's", claim{node: node, by: probe.Neighbour{MAC: other}, router: former}, []provider.Problem{{Fatal: true,
			What: "address 192.0.2.201 of node control-0.mycluster.lab.test is taken: 02:00:00:00:00:09 answers for it",
			Hint: "find the device with that MAC, as your router knows it, or write another address in the spec"}}},
		{"another host's, of the services machine", claim{node: services, by: probe.Neighbour{MAC: other}}, []provider.Problem{{Fatal: true,
			What: "address 192.0.2.210 of machine services.mycluster.lab.test is taken: 02:00:00:00:00:09 answers for it",
			Hint: "find the device with that MAC, as your router knows it, or write another address in the spec"}}},
		{"this host's", claim{node: node, by: probe.Neighbour{Here: true}}, []provider.Problem{{Fatal: true,
			What: "address 192.0.2.201 of node control-0.mycluster.lab.test is taken: this host has it",
			Hint: "write another address in the spec"}}},
		{"not asked for", claim{node: node, err: unasked}, []provider.Problem{{Err: unasked,
			What: "address 192.0.2.201 of node control-0.mycluster.lab.test: nobody could be asked whether it is free: operation not permitted",
			Hint: "let this host send UDP there, or make sure of it yourself"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []provider.Problem
			if found, is := tt.claim.problem(machines); is {
				got = append(got, found)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
