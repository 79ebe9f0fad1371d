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
	node := spec.Node{Full: "control-0.mycluster.lab.test", Address: netip.MustParseAddr("192.0.2.201"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	unasked := errors.New("operation not permitted")
	for _, tt := range []struct {
		name string
		by   probe.Neighbour
		err  error
		want []provider.Problem
	}{
		{"nobody's", probe.Neighbour{}, nil, nil},
		{"another host's", probe.Neighbour{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}}, nil, []provider.Problem{{Fatal: true,
			What: "address 192.0.2.201 of node control-0.mycluster.lab.test is taken: 02:00:00:00:00:09 answers for it",
			Hint: "find the device with that MAC, as your router knows it, or give the node another address in the spec"}}},
		{"this host's", probe.Neighbour{Here: true}, nil, []provider.Problem{{Fatal: true,
			What: "address 192.0.2.201 of node control-0.mycluster.lab.test is taken: this host has it",
			Hint: "give the node another address in the spec"}}},
		{"not asked for", probe.Neighbour{}, unasked, []provider.Problem{{Err: unasked,
			What: "address 192.0.2.201 of node control-0.mycluster.lab.test: nobody could be asked whether it is free: operation not permitted",
			Hint: "let this host send UDP there, or make sure of it yourself"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []provider.Problem
			if found, is := (claim{node, tt.by, tt.err}).problem(); is {
				got = append(got, found)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
