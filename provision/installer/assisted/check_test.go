package assisted_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/installer/assisted"
	"github.com/slipway-project/slipway/provision/provider"
)

func TestCheck(t *testing.T) {
	w := newWorld(t, "")
	tests := []struct {
		name   string
		change func(*installer.Cluster)
		want   []provider.Problem
	}{
		{"nothing wrong", func(*installer.Cluster) {}, nil},
		{"hardware that is not known is not judged", func(c *installer.Cluster) { c.Hosts[0].CPUs = 0 }, nil},
		{"two control plane nodes", func(c *installer.Cluster) { c.Hosts = c.Hosts[1:] }, []provider.Problem{
			{What: "the assisted service cannot install 2 control plane nodes", Hint: "use 1, 3, 4 or 5 control plane nodes", Fatal: true}}},
		{"one control plane node with workers", func(c *installer.Cluster) { c.Hosts = c.Hosts[2:] }, []provider.Problem{
			{What: "the assisted service installs a single control plane node without workers, not with 2", Hint: "use 3 control plane nodes, or no workers", Fatal: true}}},
		{"too little memory", func(c *installer.Cluster) { c.Hosts[1].Memory = 8192 }, []provider.Problem{
			{What: "control-1 has 8192 MiB memory, the assisted service asks for at least 16384 MiB", Hint: "give its machines block more memory", Fatal: true}}},
		{"a worker may be smaller", func(c *installer.Cluster) { c.Hosts[4].Memory = 8192 }, nil},
		{"a release that is not offered", func(c *installer.Cluster) { c.Release = "ocp-4.12" }, []provider.Problem{
			{What: "release ocp-4.12 is not offered by " + w.server.URL, Hint: "it offers 4.19.17, 4.20.0-okd-scos.15, 4.20.3", Fatal: true}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := testCluster()
			test.change(&c)
			if diff := cmp.Diff(test.want, w.engine.Check(t.Context(), c)); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckUnreachable(t *testing.T) {
	endpoint := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	engine, err := assisted.Open(assisted.Config{Endpoint: endpoint}, assisted.Options{Pace: speed})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	want := []provider.Problem{{
		What:  `assisted service http://127.0.0.1:1 does not answer: GET /component-versions: dial tcp 127.0.0.1:1: connect: connection refused`,
		Hint:  "is the service running, and is this its address and port (8090 when self-hosted)?",
		Fatal: true,
	}}
	if diff := cmp.Diff(want, engine.Check(t.Context(), testCluster())); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
}

func TestCheckToken(t *testing.T) {
	w := newWorld(t, "right")
	want := []provider.Problem{{
		What:  "assisted service " + w.server.URL + " refuses the token: GET /component-versions: 401: unauthenticated for invalid credentials",
		Hint:  "give a valid token: token in the installer block, or the environment variable SLIPWAY_ASSISTED_TOKEN",
		Fatal: true,
	}}
	if diff := cmp.Diff(want, w.open("wrong").Check(t.Context(), testCluster())); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
}
