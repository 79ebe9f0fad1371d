package loadbalancer

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const statAnswer = `# pxname,svname,scur,stot,bin,bout,dcon,econ,status,lastchg,tracked,type,check_status,check_code,last_chk,addr,
api,FRONTEND,3,40,100,2000,2,,OPEN,,,0,,,,,
api,control-0,3,38,90,1900,,1,UP,60,,2,L7OK,200,,192.0.2.201:6443,
api,control-1,0,2,10,100,,2,DOWN,5,,2,* L4CON,,Connection refused,192.0.2.202:6443,
api,BACKEND,3,40,100,2000,,3,UP,60,,1,,,,,
ingress-https,worker-0,0,,,,,,UP 1/2,7,,2,L7STS,500,,192.0.2.204:443,
ingress-http,worker-0,0,,,,,,UP 1/2,7,ingress-https/worker-0,2,,,,192.0.2.204:80,

`

func TestParseStat(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	ago := func(n int) time.Time { return time.Date(2026, 1, 2, 3, 4, 5-n, 0, time.UTC) }
	addr := netip.MustParseAddrPort
	want := Stats{
		Frontends: []FrontendStats{{Name: "api", Up: true, Sessions: 3, Total: 40, Refused: 2, In: 100, Out: 2000}},
		Servers: []Server{
			{"api", "control-0", addr("192.0.2.201:6443"), true, "UP", ago(60), "L7OK 200", 3, 38, 1, 90, 1900},
			{"api", "control-1", addr("192.0.2.202:6443"), false, "DOWN", ago(5), "L4CON Connection refused", 0, 2, 2, 10, 100},
			{"ingress-https", "worker-0", addr("192.0.2.204:443"), true, "UP 1/2", ago(7), "L7STS 500", 0, 0, 0, 0, 0},
			{"ingress-http", "worker-0", addr("192.0.2.204:80"), true, "UP 1/2", ago(7), "L7STS 500", 0, 0, 0, 0, 0},
		},
	}
	got, err := parseStat(statAnswer, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestParseProcs(t *testing.T) {
	tests := []struct {
		name, answer string
		want         procs
		fails        bool
	}{
		{"2.6 after a failed reload", "#<PID> <type> <reloads> <uptime> <version>\n20730           master          2 [failed: 1]   0d00h00m09s     2.6.12\n# workers\n21035           worker          1               0d00h00m02s     2.6.12\n# programs\n\n", procs{21035, 2, 1}, false},
		{"2.4 does not count failures", "#<PID> <type> <reloads> <uptime> <version>\n1162            master          5               0d00h02m07s     2.4.0\n# workers\n1271            worker          0               0d00h00m00s     2.4.0\n# old workers\n1233            worker          3               0d00h00m43s     2.4.0\n", procs{1271, 5, 0}, false},
		{"3.4 after a failed reload", "#\n8807 master 3 [failed: 0] 0d00h00m03s 3.4.0\n# workers\n# old workers\n8712            worker          2               0d00h00m03s     3.4.0\n8811            worker          1               0d00h00m03s     3.4.0\n\n", procs{8811, 3, 1}, false},
		{"no worker", "#\n1162 master 5 [failed: 0] 0d00h02m07s 2.6.12\n# workers\n# old workers\n", procs{0, 5, 1}, true},
		{"nothing", "", procs{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseProcs(tt.answer)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

const statesAnswer = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_port srv_use_ssl
4 api 1 control-0 192.0.2.201 2 6443 0
4 api 2 control-1 192.0.2.202 0 6443 0
4 api 3 control-2 192.0.2.203 2 7443 0
6 gone 1 control-0 192.0.2.201 2 6443 0

`

func TestStateFileKeepsWhatIsTheSame(t *testing.T) {
	c := Config{Frontends: []Frontend{{Name: "api", Members: members("control", "192.0.2.201", 3, 6443)}}}
	c.Frontends[0].Members[1].Address = netip.MustParseAddrPort("192.0.2.222:6443")
	want := `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_port srv_use_ssl
4 api 1 control-0 192.0.2.201 2 6443 0
`
	if diff := cmp.Diff(want, stateFile(statesAnswer, c)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := complete(statesAnswer, c); err == nil || err.Error() != "haproxy has 1 of 3 servers" {
		t.Errorf("got %v", err)
	}
}

func FuzzRuntimeAnswers(f *testing.F) {
	f.Add(statAnswer)
	f.Add(statesAnswer)
	f.Add("# workers\n1 worker\n master 1 [failed: 99999999999999999999]")
	c := topologies[0].config
	f.Fuzz(func(t *testing.T, answer string) {
		st, err := parseStat(answer, time.Time{})
		if err != nil && st.Servers != nil {
			t.Error("servers beside an error")
		}
		if p, err := parseProcs(answer); err == nil && p.worker < 1 {
			t.Errorf("a worker without an id: %+v", p)
		}
		if out := stateFile(answer, c); !strings.HasPrefix(out, stateVersion) {
			t.Errorf("no version: %q", out)
		}
	})
}

func TestLogIsReadFromItsEnd(t *testing.T) {
	l := logfile(filepath.Join(t.TempDir(), "haproxy.log"))
	if got := l.tail(5); got != nil {
		t.Errorf("no file has lines: %q", got)
	}
	write(t, string(l), "first\nsecond [ALERT]\n\nthird")
	if diff := cmp.Diff([]string{"second [ALERT]", "third"}, l.tail(2)); diff != "" || l.lastWords() != "second [ALERT]" {
		t.Errorf("-want +got\n%s\nlast words %q", diff, l.lastWords())
	}
	write(t, string(l), strings.Repeat(strings.Repeat("x", 99)+"\n", logBytes/100+1))
	if got := l.tail(1000); len(got) != tailSize/100 || len(got[0]) != 99 {
		t.Errorf("%d lines, the first of %d bytes", len(got), len(got[0]))
	}
	l.trim()
	if got := l.tail(5); len(got) > 0 {
		t.Errorf("%d lines after it was trimmed", len(got))
	}
}
