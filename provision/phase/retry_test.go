package phase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-project/slipway/internal/sshx"
	"github.com/slipway-project/slipway/provision/installer/assisted"
	"github.com/slipway-project/slipway/provision/kube"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
)

// Errors as providers, installers, SSH and the network really make them.
func TestClassify(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:22")
	tests := []struct {
		name string
		err  error
		want Class
	}{
		{"Proxmox: a node behind the API is away", &proxmox.Error{Kind: proxmox.Unavailable, Status: 595}, Backoff},
		{"Proxmox: a lock was not got in time", fmt.Errorf("create: %w", &proxmox.Error{Kind: proxmox.LockTimeout}), Backoff},
		{"Proxmox: no answer", &proxmox.Error{Kind: proxmox.Unreachable}, Backoff},
		{"Proxmox: the token may not", &proxmox.Error{Kind: proxmox.Forbidden, Status: 403}, Never},
		{"Proxmox: a parameter is wrong", &proxmox.Error{Kind: proxmox.ParamInvalid, Status: 400}, Never},
		{"Proxmox: a backup holds the machine", &proxmox.Error{Kind: proxmox.Locked}, Never},
		{"the id is taken", fmt.Errorf("create: %w", provider.ErrTaken), Never},
		{"assisted service: out of order", &assisted.Error{Status: 503}, Backoff},
		{"assisted service: too many requests", &assisted.Error{Status: 429}, Backoff},
		{"assisted service: refuses", &assisted.Error{Status: 409}, Never},
		{"API: overloaded", &kube.StatusError{Code: 429}, Backoff},
		{"API: forbidden", &kube.StatusError{Code: 403}, Never},
		{"SSH: the host is not up yet", &sshx.Error{Class: sshx.Refused, Address: at, Err: syscall.ECONNREFUSED}, Backoff},
		{"SSH: another host key", &sshx.Error{Class: sshx.HostKey, Address: at, Err: errors.New("x")}, Never},
		{"SSH: the end of a handshake that is no SSH", &sshx.Error{Class: sshx.NotSSH, Address: at, Err: io.EOF}, Never},
		{"nobody listens", dialError(t), Backoff},
		{"the server went away within a call", brokenCall(t), AtOnce},
		{"the server is silent", silentCall(t), Backoff},
		{"the certificate is not trusted", untrustedCall(t), Never},
		{"the name does not exist", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, Never},
		{"the DNS server does not answer", &net.DNSError{Err: "i/o timeout", IsTimeout: true}, Backoff},
		{"the disk is full", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, Never},
		{"a file is missing", fileError(t), Never},
		{"a time-out of a call", fmt.Errorf("look: %w", context.DeadlineExceeded), Backoff},
		{"cancelled", fmt.Errorf("look: %w", context.Canceled), Never},
		{"a fault that was waited for long enough", Final(syscall.ECONNREFUSED), Never},
		{"anything else", errors.New("wrong"), Never},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.err == nil {
				t.Fatal("nothing failed")
			}
			if got := Classify(test.err); got != test.want {
				t.Errorf("%v: class %d, want %d", test.err, got, test.want)
			}
		})
	}
}

func dialError(t *testing.T) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = net.Dial("tcp", l.Addr().String())
	return err
}

func call(t *testing.T, server *httptest.Server, limit time.Duration) error {
	t.Cleanup(server.Close)
	client := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := client.Get(server.URL)
	if err == nil {
		_, err = io.ReadAll(reply.Body)
		reply.Body.Close()
	}
	return err
}

func brokenCall(t *testing.T) error {
	return call(t, httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), time.Minute)
}

func silentCall(t *testing.T) error {
	return call(t, httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })), 20*time.Millisecond)
}

func untrustedCall(t *testing.T) error {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet
	server.StartTLS()
	return call(t, server, time.Minute)
}

func fileError(t *testing.T) error {
	_, err := os.ReadFile(filepath.Join(t.TempDir(), "x"))
	return err
}

func TestABrokenConnectionIsTriedAgainAtOnceButOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		r := newRig(Step{Name: "vm", Do: func(context.Context) error {
			at = append(at, time.Since(began))
			if len(at) < 4 {
				return fmt.Errorf("create: %w", io.EOF)
			}
			return nil
		}})
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at[1] != 0 || at[2] < time.Second || at[3] < at[2]+2*time.Second {
			t.Errorf("tried after %v", at)
		}
	})
}

// A try that the budget cut off says nothing; what was wrong before it does.
func TestATryCutOffTellsWhatWasWrongBefore(t *testing.T) {
	for wrong, says := range map[error]string{syscall.EHOSTUNREACH: "no route to host", os.ErrDeadlineExceeded: "i/o timeout"} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			r := newRig(Step{Name: "vm", Budget: time.Minute, Do: func(ctx context.Context) error {
				if tries++; tries == 1 {
					return &net.OpError{Op: "dial", Net: "tcp", Err: wrong}
				}
				<-ctx.Done()
				return fmt.Errorf("dial: %w", ctx.Err())
			}})
			err := r.Run(t.Context())
			if want := "vm: no time is left for this step after 1m0s; last: dial tcp: " + says; err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
}

func TestPausesGrowAndAreSpread(t *testing.T) {
	g, other := &Graph{Seed: 1}, &Graph{Seed: 2}
	spread := false
	for n, whole := range []time.Duration{2, 4, 8, 16, 30, 30, 30} {
		whole *= time.Second
		p := g.pause(Step{Name: "vm"}, n)
		if p < whole/2 || p > whole {
			t.Errorf("pause %d is %v, not within the second half of %v", n, p, whole)
		}
		if p != g.pause(Step{Name: "vm"}, n) {
			t.Error("the same seed gives another pause")
		}
		spread = spread || p != other.pause(Step{Name: "vm"}, n)
	}
	if !spread {
		t.Error("two seeds give the same pauses")
	}
}
