package loadbalancer

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// abandon is what a crash of ours does: nobody watches haproxy any more.
func (l *lab) abandon() Options {
	l.Proxy.mu.Lock()
	defer l.Proxy.mu.Unlock()
	l.Proxy.stopped = true
	l.Proxy.cancel()
	return l.Proxy.o
}

// hold opens a connection that stays.
func (l *lab) hold(t *testing.T) *held {
	t.Helper()
	conn, err := tls.Dial("tcp", l.front, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &held{conn, bufio.NewReader(conn)}
}

type held struct {
	*tls.Conn
	r *bufio.Reader
}

// ask asks over the held connection who answers.
func (h *held) ask() (string, error) {
	h.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(h, "GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(h.r, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// A crash of ours leaves haproxy running: the next Start goes on with it, and
// with its connections.
func TestStartAdoptsWhatACrashLeft(t *testing.T) {
	l := startLab(t)
	conn := l.hold(t)
	o := l.abandon()
	old := running(t, l)
	l.start(t, o)
	if now := running(t, l); now != old || !l.Adopted() {
		t.Errorf("haproxy %+v is now %+v, adopted %t", old, now, l.Adopted())
	}
	if who, err := conn.ask(); err != nil {
		t.Errorf("the connection did not survive: %q, %v", who, err)
	}
	if found, err := Running("lab.test"); err != nil || len(found) != 1 {
		t.Errorf("found %v, %v by its label", found, err)
	}
	syscall.Kill(old.PID, syscall.SIGKILL)
	eventually(t, 2*time.Second, func() error {
		if l.Restarts() == 0 {
			return errors.New("the adopted haproxy is not restarted")
		}
		_, err := l.get()
		return err
	})
}

// What we would not have started like that is ended, not adopted; a change we
// died in is carried out.
func TestStartAdoptsOnlyItsOwn(t *testing.T) {
	t.Run("another label", func(t *testing.T) {
		l := startLab(t)
		o := l.abandon()
		old := running(t, l)
		o.Label = "other.lab.test"
		l.start(t, o)
		if now := running(t, l); now == old || l.Adopted() {
			t.Error("adopted")
		}
		if _, err := l.get(); err != nil {
			t.Error(err)
		}
	})
	t.Run("another configuration", func(t *testing.T) {
		l := startLab(t)
		o := l.abandon()
		old, worker := running(t, l), workerOf(t, l.Proxy)
		l.config.Frontends[0].Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		l.start(t, o)
		if now := running(t, l); now != old || workerOf(t, l.Proxy) == worker {
			t.Error("not reloaded")
		}
	})
	t.Run("a file that it did not load", func(t *testing.T) {
		l := startLab(t)
		o := l.abandon()
		worker := workerOf(t, l.Proxy)
		write(t, l.path("haproxy.loaded"), "")
		l.start(t, o)
		if !l.Adopted() || workerOf(t, l.Proxy) == worker {
			t.Error("not reloaded")
		}
	})
}

func workerOf(t testing.TB, p *Proxy) int {
	t.Helper()
	now, err := p.procs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now.worker
}
