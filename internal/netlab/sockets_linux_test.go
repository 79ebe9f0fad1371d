package netlab

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestParseSockets(t *testing.T) {
	const rest = " 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n"
	tests := []struct {
		name string
		text string
		want []string
		err  string
	}{
		{"IPv4 listener", "   0: D20200C0:0035 00000000:0000 0A" + rest, []string{"tcp 192.0.2.210:53"}, ""},
		{"IPv6 listener", "   0: B80D0120000000000000000001000000:1BB3 00000000000000000000000000000000:0000 0A" + rest, []string{"tcp [2001:db8::1]:7091"}, ""},
		{"any address", "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A" + rest, []string{"tcp [::]:22"}, ""},
		{"connection", "   0: D20200C0:0035 D20200C0:0036 01" + rest, nil, ""},
		{"short line", "   0: zz", nil, ""},
		{"no address", "   0: D20000:0035 00000000:0000 0A" + rest, nil, `address "D20000:0035": not hexadecimal words`},
		{"no port", "   0: D20200C0:xx 00000000:0000 0A" + rest, nil, `address "D20200C0:xx": not an address and port`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sockets, err := parseSockets(header+tt.text, "tcp", "0A")
			if got := text(err); got != tt.err {
				t.Fatalf("error %q, want %q", got, tt.err)
			}
			if diff := cmp.Diff(tt.want, names(sockets)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func names(sockets []Socket) []string {
	var names []string
	for _, s := range sockets {
		names = append(names, s.String())
	}
	return names
}

func FuzzParseSockets(f *testing.F) {
	f.Add("   0: D20200C0:0035 00000000:0000 0A 0:0 0:0 0 0 0 4711")
	f.Fuzz(func(t *testing.T, line string) {
		sockets, err := parseSockets(header+line, "tcp", "0A")
		if err == nil && len(sockets) > strings.Count(line, "\n")+1 {
			t.Errorf("%d sockets in %q", len(sockets), line)
		}
	})
}

func TestListening(t *testing.T) {
	if !inside(t) {
		return
	}
	l := lab(t)
	m := machine(t, l, "02:00:00:00:00:0a", "192.0.2.10/24")
	tcp, err := m.Listen("tcp", "192.0.2.10:22")
	must(t, err)
	defer tcp.Close()
	udp, err := m.ListenPacket("udp", "192.0.2.10:53")
	must(t, err)
	defer udp.Close()
	sockets, err := m.Listening()
	must(t, err)
	if diff := cmp.Diff([]string{"tcp 192.0.2.10:22", "udp 192.0.2.10:53"}, names(sockets)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	elsewhere, err := l.Home().Listening()
	must(t, err)
	if len(elsewhere) != 0 {
		t.Errorf("at home: %v", elsewhere)
	}
}
