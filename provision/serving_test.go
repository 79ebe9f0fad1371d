package provision

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/spec"
)

// Who answered last is asked first from then on.
func TestAPIIsAskedWhereItAnswered(t *testing.T) {
	s := simulate(t.TempDir(), "c", 1, 1)
	s.answered = new(atomic.Pointer[netip.Addr])
	s.withAPIServer(t, http.NotFound)
	s.cluster.Services.Mode = spec.ServicesSSH
	s.cluster.Services.Hosts = []spec.ServicesHost{{Address: netip.MustParseAddr("192.0.2.211")}, {Address: netip.MustParseAddr("192.0.2.212")}}
	calls := 0
	firstIsDown := func(*kube.Client) error {
		if calls++; calls == 1 {
			return errors.New("no route to host")
		}
		return nil
	}
	for range 2 {
		if err := s.withAPI(firstIsDown); err != nil {
			t.Error(err)
		}
	}
	if got := fmt.Sprint(s.apiAddresses()); calls != 3 || got != "[192.0.2.212 192.0.2.211]" {
		t.Errorf("after %d calls it is asked at %s", calls, got)
	}
}

// A load balancer of the user's needs what ours would do, at its own address.
func TestBalancerOfTheUser(t *testing.T) {
	l, err := net.Listen("tcp", "127.77.1.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := loadbalancer.Config{Frontends: []loadbalancer.Frontend{
		{Name: "api", Bind: netip.MustParseAddrPort("127.77.1.2:6443")},
		{Name: "up", Bind: l.Addr().(*net.TCPAddr).AddrPort()},
	}}
	problems := checkBalancer(t.Context(), c)
	if len(problems) != 1 || problems[0].Fatal || problems[0].What != "your load balancer at 127.77.1.2 accepts no connections at 6443" || !strings.Contains(problems[0].Hint, "slipway lb check") {
		t.Errorf("problems %+v", problems)
	}
	if problems := checkBalancer(t.Context(), loadbalancer.Config{Frontends: c.Frontends[1:]}); problems != nil {
		t.Errorf("one that accepts: %+v", problems)
	}
}

// A place is a serving that is as a test says.
type place struct {
	serving
	problems []provider.Problem
	serves   error // why it does not
	asked    int
}

func (p *place) check(context.Context, services.Document) []provider.Problem {
	return slices.Clone(p.problems)
}

func (p *place) status(context.Context) (services.Status, error) {
	p.asked++
	return services.Status{}, p.serves
}

// Of two places one may fail while the other serves; who fails is not asked
// again, which takes as long as nobody answers.
func TestOneOfTwoPlacesMayFail(t *testing.T) {
	down := errors.New("no route to host")
	fails := []provider.Problem{{What: "it is down", Fatal: true}}
	for _, tt := range []struct {
		name   string
		places []*place
		fatal  bool
		asked  []int
	}{
		{"the other serves", []*place{{problems: fails, serves: down}, {}}, false, []int{0, 1}},
		{"the other is new", []*place{{problems: fails, serves: down}, {serves: down}}, true, []int{0, 1}},
		{"there is no other", []*place{{problems: fails}}, true, []int{0}},
		{"nobody fails", []*place{{}, {}}, false, []int{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t.TempDir(), "c", 1, 1)
			var places []servingAt
			for _, p := range tt.places {
				places = append(places, servingAt{p, netip.MustParseAddr("192.0.2.211")})
			}
			problems := s.checkPlaces(t.Context(), places)
			var asked []int
			for _, p := range tt.places {
				asked = append(asked, p.asked)
			}
			if isFatal(problems) != tt.fatal || !slices.Equal(asked, tt.asked) {
				t.Errorf("problems %+v, asked %v", problems, asked)
			}
		})
	}
}
