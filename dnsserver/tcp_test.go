package dnsserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func question1(t *testing.T) []byte {
	return frame(mustPack(t, new(dns.Msg).SetQuestion("api.mycluster.lab.test.", dns.TypeA)))
}

func answered(t *testing.T, c net.Conn) {
	t.Helper()
	packet, err := readFrame(c)
	m := new(dns.Msg)
	if err != nil || m.Unpack(packet) != nil || len(m.Answer) != 1 {
		t.Errorf("%v %v", err, m)
	}
}

// ends waits for the server to close c.
func ends(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("still open: %d octets, %v", n, err)
	}
}

func TestSixtyPipelinedQueriesAreAnswered(t *testing.T) {
	_, addr := started(t, Options{}, Config{Zones: []Zone{lab(1)}})
	c := dial(t, addr)
	var all []byte
	for range 60 {
		all = append(all, question1(t)...)
	}
	c.Write(all)
	c.(*net.TCPConn).CloseWrite() // a client that has said all still wants its answers
	for range 60 {
		answered(t, c)
	}
	ends(t, c)
}

func TestWrongMessageDoesNotEndTheConnection(t *testing.T) {
	_, addr := started(t, Options{}, Config{Zones: []Zone{lab(1)}})
	c := dial(t, addr)
	for _, wrong := range [][]byte{{0, 0}, frame([]byte("short")), frame(make([]byte, 12))} {
		c.Write(wrong)
	}
	packet, err := readFrame(c) // of the 12 zeros: no question
	if err != nil || packet[3]&15 != dns.RcodeFormatError {
		t.Errorf("%x %v, want FORMERR", packet, err)
	}
	c.Write(question1(t))
	answered(t, c)
}

func TestSilentConnectionIsClosed(t *testing.T) {
	_, addr := started(t, Options{Idle: 50 * time.Millisecond}, Config{Zones: []Zone{lab(1)}})
	ends(t, dial(t, addr))
	dripping := dial(t, addr)
	dripping.Write(question1(t)[:9])
	ends(t, dripping)
}

func TestConnectionSilentLongestMakesRoom(t *testing.T) {
	s, addr := started(t, Options{Conns: 2}, Config{Zones: []Zone{lab(1)}})
	old, busy := dial(t, addr), dial(t, addr)
	held := func() int {
		s.conns.mu.Lock()
		defer s.conns.mu.Unlock()
		return len(s.conns.all)
	}
	within(t, "two connections are held", func() bool { return held() == 2 })
	busy.Write(question1(t))
	answered(t, busy)
	next := dial(t, addr)
	next.Write(question1(t))
	answered(t, next)
	ends(t, old)
	busy.Write(question1(t))
	answered(t, busy)
}

func TestClientThatDoesNotReadDoesNotHoldUpTheEnd(t *testing.T) {
	big := lab(1)
	for i := range 200 {
		big.Records = append(big.Records, rec("big.mycluster.lab.test.", "TXT", fmt.Sprintf("%d%s", i, strings.Repeat("x", 240))))
	}
	s, addr := started(t, Options{Idle: time.Hour}, Config{Zones: []Zone{big}})
	c := dial(t, addr)
	packet := frame(mustPack(t, new(dns.Msg).SetQuestion("big.mycluster.lab.test.", dns.TypeTXT)))
	// The server, stuck in its own write, in the end does not read either.
	for err := error(nil); !errors.Is(err, os.ErrDeadlineExceeded); {
		c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err = c.Write(packet); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	start := time.Now()
	s.Close()
	if took := time.Since(start); took > 5*grace {
		t.Errorf("closed after %s", took)
	}
}
