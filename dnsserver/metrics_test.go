package dnsserver

import (
	"bufio"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func TestMetrics(t *testing.T) {
	u := scripted(t, address)
	s, addr := forwarding(t, 10*time.Second, u)
	odd := Zone{Name: `o\"d\\d.test.`, Serial: 9, NS: "ns.", MinTTL: 1}
	if err := s.Set(Config{Zones: []Zone{lab(1), odd}, Listen: []netip.AddrPort{loopback}, Forward: &Forward{Upstreams: []netip.AddrPort{u.addr}}}); err != nil {
		t.Fatal(err)
	}
	ask(t, "udp", addr, "api.mycluster.lab.test.", dns.TypeA)
	ask(t, "udp", addr, "nope.mycluster.lab.test.", dns.TypeAAAA)
	ask(t, "tcp", addr, "api.mycluster.lab.test.", dns.TypeLOC)
	for range 2 {
		ask(t, "udp", addr, "example.org.", dns.TypeA)
	}
	var text strings.Builder
	if err := s.WriteMetrics(&text); err != nil {
		t.Fatal(err)
	}
	// How long the upstream took is nobody's business here.
	got := regexp.MustCompile(`(seconds_bucket\{le="[0-9.]+"\}|seconds_sum) \S+`).ReplaceAllString(text.String(), "$1 #")
	want := `# TYPE slipway_dns_queries counter
# HELP slipway_dns_queries Messages received.
slipway_dns_queries_total{proto="tcp"} 1
slipway_dns_queries_total{proto="udp"} 4
# TYPE slipway_dns_questions counter
# HELP slipway_dns_questions Questions answered, by type of record.
slipway_dns_questions_total{type="A"} 3
slipway_dns_questions_total{type="AAAA"} 1
slipway_dns_questions_total{type="other"} 1
# TYPE slipway_dns_answers counter
# HELP slipway_dns_answers Answers, by response code.
slipway_dns_answers_total{rcode="NOERROR"} 4
slipway_dns_answers_total{rcode="NXDOMAIN"} 1
# TYPE slipway_dns_silent counter
# HELP slipway_dns_silent Messages that are not answered: responses, and what is too short.
slipway_dns_silent_total 0
# TYPE slipway_dns_rate_limited_dropped counter
# HELP slipway_dns_rate_limited_dropped Answers not sent: over the rate limit.
slipway_dns_rate_limited_dropped_total 0
# TYPE slipway_dns_rate_limited_truncated counter
# HELP slipway_dns_rate_limited_truncated Answers sent without records: over the rate limit.
slipway_dns_rate_limited_truncated_total 0
# TYPE slipway_dns_transfers counter
# HELP slipway_dns_transfers Zones handed out.
slipway_dns_transfers_total 0
# TYPE slipway_dns_forwarded counter
# HELP slipway_dns_forwarded Queries sent to upstreams, each attempt.
slipway_dns_forwarded_total 1
# TYPE slipway_dns_cache_hits counter
# HELP slipway_dns_cache_hits Foreign names answered from memory.
slipway_dns_cache_hits_total 1
# TYPE slipway_dns_cache_stale counter
# HELP slipway_dns_cache_stale Foreign names answered from memory after their time.
slipway_dns_cache_stale_total 0
# TYPE slipway_dns_loops counter
# HELP slipway_dns_loops Queries that came back from an upstream.
slipway_dns_loops_total 0
# TYPE slipway_dns_panics counter
# HELP slipway_dns_panics Bugs met and survived.
slipway_dns_panics_total 0
# TYPE slipway_dns_forward_duration_seconds histogram
# UNIT slipway_dns_forward_duration_seconds seconds
# HELP slipway_dns_forward_duration_seconds Time until a foreign name not in memory was answered, or given up.
slipway_dns_forward_duration_seconds_bucket{le="0.001"} #
slipway_dns_forward_duration_seconds_bucket{le="0.002"} #
slipway_dns_forward_duration_seconds_bucket{le="0.005"} #
slipway_dns_forward_duration_seconds_bucket{le="0.01"} #
slipway_dns_forward_duration_seconds_bucket{le="0.025"} #
slipway_dns_forward_duration_seconds_bucket{le="0.05"} #
slipway_dns_forward_duration_seconds_bucket{le="0.1"} #
slipway_dns_forward_duration_seconds_bucket{le="0.25"} #
slipway_dns_forward_duration_seconds_bucket{le="0.5"} #
slipway_dns_forward_duration_seconds_bucket{le="1"} #
slipway_dns_forward_duration_seconds_bucket{le="2.5"} #
slipway_dns_forward_duration_seconds_bucket{le="5"} #
slipway_dns_forward_duration_seconds_bucket{le="+Inf"} 1
slipway_dns_forward_duration_seconds_count 1
slipway_dns_forward_duration_seconds_sum #
# TYPE slipway_dns_zone_serial gauge
# HELP slipway_dns_zone_serial Serial of the SOA record served.
slipway_dns_zone_serial{zone="mycluster.lab.test."} 1
slipway_dns_zone_serial{zone="o\\\"d\\\\d.test."} 9
# EOF
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 3 * time.Second, time.Minute} {
		h.observe(d)
	}
	var text strings.Builder
	e := exposition{bufio.NewWriter(&text)}
	e.histogram("x", "X.", &h)
	e.Flush()
	for _, want := range []string{`le="0.001"} 2`, `le="0.002"} 3`, `le="2.5"} 3`, `le="5"} 4`, `le="+Inf"} 5`, "_count 5", "_sum 63.002000001"} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestMetricsToNobody(t *testing.T) {
	s := serving(t, lab(1))
	if err := s.WriteMetrics(broken{}); err == nil || err.Error() != "broken pipe" {
		t.Errorf("%v", err)
	}
}
