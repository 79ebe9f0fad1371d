package loadbalancer

import (
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	n := uint16(rand.UintN(1 << 16))
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(loopback(n, 1), port) }
	self := []Member{{Name: "control-0", Address: netip.MustParseAddrPort("192.0.2.201:6443")}}
	api := startAPI(t, "api", at(6443))
	startAPI(t, "machine", at(22623))
	startAPI(t, "ingress", at(443))
	plain, err := net.Listen("tcp", at(80).String())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	go server.Serve(plain)
	t.Cleanup(func() { server.Close() })
	c := Config{Frontends: []Frontend{
		{Name: "api", Bind: at(6443), Check: CheckAPI, Members: self},
		{Name: "machine-config", Bind: at(22623), Check: CheckMachine, Members: self, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		{Name: "open", Bind: at(22623), Check: CheckMachine, Members: self, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		{Name: "closed", Bind: at(22624), Check: CheckMachine, Members: self, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		{Name: "ingress-https", Bind: at(443), Check: CheckRouter, Members: self},
		{Name: "ingress-http", Bind: at(80), Check: CheckRouter, Members: self},
		{Name: "dead", Bind: at(81), Check: CheckRouter, Members: self},
	}}
	want := []struct {
		ok  bool
		got string
	}{
		{true, "L7OK 200"}, {true, "L7OK 200"}, {false, "L7 200: it would hand out the pull secret"}, {true, "L4CON connection refused"},
		{true, "certificate of "}, {true, "HTTP 404"}, {false, "L4CON connection refused"},
	}
	for i, v := range Verify(t.Context(), c) {
		if v.OK != want[i].ok || !strings.HasPrefix(v.Got, want[i].got) || v.Frontend != c.Frontends[i].Name {
			t.Errorf("got %+v, want %+v", v, want[i])
		}
	}
	if got, want := Deaf(t.Context(), c), []netip.AddrPort{at(22624), at(81)}; !slices.Equal(got, want) {
		t.Errorf("nobody accepts at %v, want %v", got, want)
	}
	api.status.Store(http.StatusInternalServerError)
	if v := Verify(t.Context(), c)[0]; v.OK || v.Got != "L7STS 500" {
		t.Errorf("got %+v", v)
	}
	if got, want := c.Frontends[1].needs(), "TCP to any of 192.0.2.201:6443 that answers https GET /healthz with 200; for clients of 127.0.0.0/8 alone"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := c.Frontends[5].needs(), "TCP to one (by client address) of 192.0.2.201:6443 that answers http GET :1936/healthz/ready with 200"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A balancer that resets a stranger is as good as one that is not there.
func TestVerifyTakesAResetForRefused(t *testing.T) {
	at := netip.AddrPortFrom(loopback(uint16(rand.UintN(1<<16)), 1), 22623)
	pipeServer(t, at.String(), func(c *net.TCPConn) {
		c.Read(make([]byte, 1))
		c.SetLinger(0)
	})
	if ok, said := refused(t.Context(), at); !ok || said != "reset" {
		t.Errorf("got %t, %q", ok, said)
	}
}
