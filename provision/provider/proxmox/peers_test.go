package proxmox_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/rehearsal/pve"
)

// A meter counts what comes in.
type meter struct {
	net.Listener
	bytes atomic.Int64
}

type metered struct {
	net.Conn
	m *meter
}

func (m *meter) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	return metered{c, m}, err
}

func (c metered) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.m.bytes.Add(int64(n))
	return n, err
}

// twoAddresses listens on one port of two loopback addresses.
func twoAddresses(t *testing.T) (first, second *meter) {
	t.Helper()
	for range 20 {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(a.Addr().String())
		b, err := net.Listen("tcp", "127.0.0.2:"+port)
		if err == nil {
			return &meter{Listener: a}, &meter{Listener: b}
		}
		a.Close()
	}
	testbed.Missing(t, "127.0.0.1 and 127.0.0.2 with a port free on both")
	return nil, nil
}

// An image goes straight to the node it is for, if that answers and is who
// the cluster says; otherwise, and without the right to ask, the endpoint
// passes it on.
func TestUploadToTheNodeItself(t *testing.T) {
	const size = 3_000_000
	audit := append(slices.Clone(leastRights), pve.ACL{Path: "/", Propagate: false, Privileges: []string{"Sys.Audit"}})
	for _, c := range []struct {
		name   string
		acl    []pve.ACL
		second string // who answers at the second node's address
		direct bool
	}{
		{"a node that answers", audit, "node", true},
		{"a stranger at its address", audit, "stranger", false},
		{"nobody at its address", audit, "nobody", false},
		{"no right to ask for addresses", leastRights, "node", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatacentre(t, func(cfg *pve.Config) {
				cfg.Tokens[0].ACL, cfg.Addresses = c.acl, map[string]string{"pve1": "127.0.0.1", "pve2": "127.0.0.2"}
			})
			first, second := twoAddresses(t)
			ctx, stop := context.WithCancel(t.Context())
			var serving sync.WaitGroup
			defer serving.Wait()
			defer stop()
			serving.Go(func() { d.server.ServeNode(ctx, first, "pve1") })
			stranger := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				t.Error("a stranger was sent a request, and the token with it")
			}))
			stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
			switch c.second {
			case "node":
				serving.Go(func() { d.server.ServeNode(ctx, second, "pve2") })
			case "stranger":
				stranger.Listener.Close()
				stranger.Listener = second
				stranger.StartTLS()
			default:
				second.Close()
			}
			defer stranger.Close()
			cfg := d.config()
			cfg.Endpoint = &url.URL{Scheme: "https", Host: first.Addr().String()}
			cfg.Fingerprint = d.server.NodeFingerprint("pve1")
			p := d.openWith(cfg)
			defer p.Close()
			if _, err := p.Put(bounded(t), iso(t, size), []string{"pve2"}, nil); err != nil {
				t.Fatal(err)
			}
			if direct := second.bytes.Load() > size; direct != c.direct || direct == (first.bytes.Load() > size) {
				t.Errorf("the endpoint got %d bytes, the node %d", first.bytes.Load(), second.bytes.Load())
			}
		})
	}
}
