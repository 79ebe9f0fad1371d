package dnsserver

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// latencyBounds are the upper bounds of the histogram's buckets: from a
// resolver on the same network to one that is about to be given up.
var latencyBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

// A histogram counts durations. The zero value is empty.
type histogram struct {
	buckets [len(latencyBounds) + 1]atomic.Uint64 // each its own; the last is without bound
	sum     atomic.Int64                          // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i, _ := slices.BinarySearch(latencyBounds[:], d)
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// WriteMetrics writes the counters as they are now in the OpenMetrics text
// format (version 1.0.0), to the final "# EOF". The error is that of w.
func (s *Server) WriteMetrics(w io.Writer) error {
	out := exposition{bufio.NewWriter(w)}
	st := s.Stats()
	out.counter("queries", "Messages received.", "proto", map[string]uint64{"udp": st.UDP, "tcp": st.TCP})
	out.counter("questions", "Questions answered, by type of record.", "type", s.meter.questions())
	out.counter("answers", "Answers, by response code.", "rcode", st.Rcodes)
	for _, c := range []struct {
		name, help string
		n          uint64
	}{
		{"silent", "Messages that are not answered: responses, and what is too short.", st.Silent},
		{"rate_limited_dropped", "Answers not sent: over the rate limit.", st.Dropped},
		{"rate_limited_truncated", "Answers sent without records: over the rate limit.", st.Slipped},
		{"transfers", "Zones handed out.", st.Transfers},
		{"forwarded", "Queries sent to upstreams, each attempt.", st.Forwarded},
		{"cache_hits", "Foreign names answered from memory.", st.CacheHits},
		{"cache_stale", "Foreign names answered from memory after their time.", st.Stale},
		{"loops", "Queries that came back from an upstream.", st.Loops},
		{"panics", "Bugs met and survived.", st.Panics},
	} {
		out.counter(c.name, c.help, "", map[string]uint64{"": c.n})
	}
	out.histogram("forward_duration", "Time until a foreign name not in memory was answered, or given up.", &s.meter.latency)
	out.serials(st.Serials)
	fmt.Fprintln(out, "# EOF")
	return out.Flush()
}

// An exposition is a text in the format of OpenMetrics.
type exposition struct{ *bufio.Writer }

func (e exposition) family(name, kind, unit, help string) {
	fmt.Fprintf(e, "# TYPE slipway_dns_%s %s\n", name, kind)
	if unit != "" {
		fmt.Fprintf(e, "# UNIT slipway_dns_%s %s\n", name, unit)
	}
	fmt.Fprintf(e, "# HELP slipway_dns_%s %s\n", name, help)
}

// counter writes a family with one label, or without.
func (e exposition) counter(name, help, label string, values map[string]uint64) {
	e.family(name, "counter", "", help)
	for _, v := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(e, "slipway_dns_%s_total%s %d\n", name, labelled(label, v), values[v])
	}
}

func labelled(label, value string) string {
	if label == "" {
		return ""
	}
	return "{" + label + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"}`
}

func (e exposition) histogram(name, help string, h *histogram) {
	name += "_seconds"
	e.family(name, "histogram", "seconds", help)
	var n uint64
	for i := range h.buckets {
		n += h.buckets[i].Load()
		bound := "+Inf"
		if i < len(latencyBounds) {
			bound = fmt.Sprintf("%g", latencyBounds[i].Seconds())
		}
		fmt.Fprintf(e, "slipway_dns_%s_bucket%s %d\n", name, labelled("le", bound), n)
	}
	fmt.Fprintf(e, "slipway_dns_%s_count %d\n", name, n)
	fmt.Fprintf(e, "slipway_dns_%s_sum %g\n", name, time.Duration(h.sum.Load()).Seconds())
}

func (e exposition) serials(serials map[string]uint32) {
	e.family("zone_serial", "gauge", "", "Serial of the SOA record served.")
	for _, zone := range slices.Sorted(maps.Keys(serials)) {
		fmt.Fprintf(e, "slipway_dns_zone_serial%s %d\n", labelled("zone", zone), serials[zone])
	}
}

// questions returns the counts by type; all types without a count of their own
// are "other".
func (m *meter) questions() map[string]uint64 {
	counts := map[string]uint64{}
	for i := range m.lanes {
		for j := range m.lanes[i].types {
			name := "other"
			if j < len(countedTypes) {
				name = typeName(countedTypes[j])
			}
			if n := m.lanes[i].types[j].Load(); n > 0 {
				counts[name] += n
			}
		}
	}
	return counts
}
