package provision

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/plan"
	"github.com/slipway-project/slipway/provision/state"
)

func TestExpiryInWords(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for in, want := range map[time.Duration]string{
		3*time.Hour + 12*time.Minute + 30*time.Second: "expires in 3h12m",
		53 * time.Hour:    "expires in 2d5h",
		59 * time.Minute:  "expires in 59m",
		40 * time.Second:  "expires in 40s",
		0:                 "expired 0s ago",
		-2 * time.Hour:    "expired 2h00m ago",
		-49 * time.Hour:   "expired 2d1h ago",
		-90 * time.Second: "expired 1m ago",
	} {
		if got := Expiry(now.Add(in), now); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

// The end of a cluster is its beginning and the ttl that the spec has now.
func TestExpiryFollowsTheSpec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t.TempDir(), "c", 1, 1)
		s.journal = &ledger{room: -1}
		began := time.Now()
		for _, ttl := range []time.Duration{8 * time.Hour, 24 * time.Hour, 0} {
			s.cluster.TTL = ttl
			for range 2 {
				if err := s.identify(); err != nil {
					t.Fatal(err)
				}
			}
			want := time.Time{}
			if ttl > 0 {
				want = began.Add(ttl)
			}
			if got := s.journal.Document().Expires; !got.Equal(want) {
				t.Errorf("ttl %v: expires %v, want %v", ttl, got, want)
			}
			later(time.Hour)
		}
		if seq := s.journal.Document().Seq; seq != 4 {
			t.Errorf("%d records, want one a change", seq)
		}
	})
}

func TestDownLeavesProtectedAndYoungClustersAlone(t *testing.T) {
	tests := []struct {
		name    string
		age     time.Duration // 0: not known here
		ttl     time.Duration
		protect bool
		expired bool // down --expired
		want    error
		words   string
		code    int
	}{
		{"protected", time.Hour, 0, true, false, ErrProtected, "cluster c.lab.test is protected: the cluster block at cluster.hcl:7 says protect = true", ExitConfirm},
		{"protected, and its time has passed", 2 * time.Hour, time.Hour, true, true, ErrProtected, "cluster c.lab.test is protected: the cluster block at cluster.hcl:7 says protect = true", ExitConfirm},
		{"not known here", 0, time.Hour, false, true, ErrNotExpired, "nothing to do: the state here knows no cluster c.lab.test", ExitOther},
		{"without a ttl", time.Hour, 0, false, true, ErrNotExpired, "nothing to do: c.lab.test has no ttl", ExitOther},
		{"young", time.Hour, 3 * time.Hour, false, true, ErrNotExpired, "nothing to do: c.lab.test expires in 2h00m", ExitOther},
		{"young and protected", time.Hour, 3 * time.Hour, true, true, ErrNotExpired, "nothing to do: c.lab.test expires in 2h00m", ExitOther},
		{"its time has passed", 3 * time.Hour, 2 * time.Hour, false, true, ErrDeclined, "not confirmed", ExitConfirm},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := simulate(t.TempDir(), "c", 1, 1)
				if test.age > 0 {
					remember(t, s.Project)
					later(test.age)
				}
				s.cluster.TTL, s.cluster.Protect = test.ttl, test.protect
				s.cluster.Range = hcl.Range{Filename: "cluster.hcl", Start: hcl.Pos{Line: 7}}
				down := s.Down
				if test.expired {
					down = s.DownExpired
				}
				err := down(t.Context(), func(plan.Plan) error { return ErrDeclined })
				if !errors.Is(err, test.want) || err.Error() != test.words || ExitCode(err) != test.code {
					t.Errorf("error %v, exit code %d, want %q, %d", err, ExitCode(err), test.words, test.code)
				}
				if test.want == ErrProtected && hint.Of(err) == "" {
					t.Error("nothing is said to do")
				}
				if doc, err := s.store.Read(t.Context(), "c.lab.test"); err != nil || (doc.ID == "") != (test.age == 0) {
					t.Errorf("the state is changed: %+v, %v", doc, err)
				}
			})
		})
	}
}

// remember begins the cluster's state on disk.
func remember(t *testing.T, p *Project) {
	t.Helper()
	journal, err := p.store.Open(t.Context(), p.cluster.FullName(), holder("up"))
	if err == nil {
		err = journal.Append(state.Record{Kind: state.Created, Cluster: p.cluster.FullName(), ID: "1"})
	}
	if err == nil {
		err = journal.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// later lets the time of a bubble pass.
func later(d time.Duration) { <-time.After(d) }
