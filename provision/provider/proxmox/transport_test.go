package proxmox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/internal/secret"
	"github.com/slipway-project/slipway/provision/provider"
)

const testToken = "slipway@pve!ci=11111111-2222-3333-4444-555555555555"

// A wire answers requests in memory, so that time can be faked around it.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func (w wire) client(t *testing.T) *client {
	t.Helper()
	endpoint := &url.URL{Scheme: "https", Host: "pve.lab.test:8006"}
	c, err := newClient(endpoint, w, firstUse(secret.Of("test", testToken)), 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func says(r *http.Request, code int, reason, body string) (*http.Response, error) {
	return answer(r, code, fmt.Sprintf("%d %s", code, reason), []byte(body)), nil
}

// A GET is repeated when a worker went away under it, until it succeeds.
func TestGetIsRepeated(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(*http.Request) (*http.Response, error)
	}{
		{"EOF", func(*http.Request) (*http.Response, error) { return nil, io.EOF }},
		{"596", func(r *http.Request) (*http.Response, error) { return says(r, 596, "Broken pipe", "") }},
		{"595", func(r *http.Request) (*http.Response, error) { return says(r, 595, "Connection refused", "") }},
		{"599", func(r *http.Request) (*http.Response, error) { return says(r, 599, "Too many redirections", "") }},
		{"503", func(r *http.Request) (*http.Response, error) {
			return says(r, 503, "Service Unavailable", "<html>")
		}},
		{"a torn body", func(r *http.Request) (*http.Response, error) {
			resp, _ := says(r, 200, "OK", "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"data":`), torn{}))
			return resp, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				cl := wire(func(r *http.Request) (*http.Response, error) {
					if calls++; calls < attempts {
						return c.fail(r)
					}
					return says(r, 200, "OK", `{"data":{"status":"running"}}`)
				}).client(t)
				var got taskStatus
				if err := cl.get(t.Context(), "/x", &got); err != nil || got.Status != "running" {
					t.Errorf("got %v, %v", got, err)
				}
			})
		})
	}
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Anything but a GET is sent once, and its error says that nothing is known.
func TestPostIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := wire(func(*http.Request) (*http.Response, error) { calls++; return nil, io.EOF }).client(t)
		begin := time.Now()
		_, err := c.post(t.Context(), "/nodes/pve/qemu", map[string]any{"vmid": 100})
		if !errors.Is(err, Unreachable) || !errors.Is(err, io.EOF) {
			t.Errorf("error is %v", err)
		}
		if want := "POST /nodes/pve/qemu: pve.lab.test:8006: EOF"; err.Error() != want {
			t.Errorf("error reads %q, want %q", err, want)
		}
		if calls != 1 || time.Since(begin) != 0 {
			t.Errorf("%d calls in %s", calls, time.Since(begin))
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name         string
		code         int
		reason, body string
		kind         Kind
		text         string
	}{
		{"the text of an old server is its reason phrase", 500, "unable to create VM 100 - VM 100 already exists on node 'pve'", `{"data":null}`,
			Exists, "POST /x: unable to create VM 100 - VM 100 already exists on node 'pve'"},
		{"the message of a newer one counts more", 500, "Internal Server Error", `{"data":null,"message":"VM is locked (backup)\n"}`,
			Locked, "POST /x: VM is locked (backup)"},
		{"errors may be null", 500, "oops", `{"data":null,"errors":null}`, Other, "POST /x: oops"},
		{"an empty 401", 401, "Authentication failed!", "", Unauthorized, "POST /x: Authentication failed!"},
		{"each wrong parameter is told", 400, "Parameter verification failed.", `{"data":null,"message":"Parameter verification failed.\n","errors":{"net0":"invalid format","cores":"too many"}}`,
			ParamInvalid, "POST /x: Parameter verification failed. cores: too many net0: invalid format"},
		{"a proxy in the way", 502, "Bad Gateway", "<html>", Unavailable, "POST /x: Bad Gateway"},
		{"a redirect", 301, "Moved Permanently", "moved", Other, "POST /x: Moved Permanently"},
		{"no PVE at all", 200, "OK", "<html>", Unreachable, "POST /x: pve.lab.test:8006: answer to /api2/json/x is no JSON object: is this a Proxmox VE API?"},
		{"a server that repeats our token", 500, "x", `{"message":"bad token 11111111-2222-3333-4444-555555555555"}`,
			Other, "POST /x: bad token (redacted)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := wire(func(r *http.Request) (*http.Response, error) { return says(r, c.code, c.reason, c.body) }).client(t)
			_, err := cl.post(t.Context(), "/x", nil)
			if !errors.Is(err, c.kind) || err.Error() != c.text {
				t.Errorf("got %v: %v\nwant %v: %s", errors.Is(err, c.kind), err, c.kind, c.text)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	var got []string
	c := wire(func(r *http.Request) (*http.Response, error) {
		body := ""
		if r.Body != nil {
			b, _ := io.ReadAll(r.Body)
			body = string(b)
		}
		got = append(got, fmt.Sprintf("%s %s %q %q %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body, r.Header.Get("Authorization")))
		return says(r, 200, "OK", `{"data":null}`)
	}).client(t)
	ctx := t.Context()
	_, err1 := c.post(ctx, "/a", map[string]any{"net0": "virtio=x,bridge=y", "onboot": false})
	err2 := c.put(ctx, "/b", map[string]any{"tags": "a;b"})
	_, err3 := c.delete(ctx, "/c", url.Values{"purge": {"1"}})
	_, err4 := c.post(ctx, "/d", nil)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	const form = `"application/x-www-form-urlencoded"`
	want := []string{
		`POST /api2/json/a ` + form + ` "net0=virtio%3Dx%2Cbridge%3Dy&onboot=0" PVEAPIToken=` + testToken,
		`PUT /api2/json/b ` + form + ` "tags=a%3Bb" PVEAPIToken=` + testToken,
		`DELETE /api2/json/c?purge=1 "" "" PVEAPIToken=` + testToken,
		`POST /api2/json/d ` + form + ` "" PVEAPIToken=` + testToken,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestThreeCallsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		c := wire(func(r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			pace.Pace(1).Sleep(r.Context(), time.Second)
			return says(r, 200, "OK", `{"data":[]}`)
		}).client(t)
		begin := time.Now()
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() { c.get(t.Context(), "/nodes", &[]pveNode{}) })
		}
		wg.Wait()
		if most.Load() != workers || time.Since(begin) != 3*time.Second {
			t.Errorf("%d at a time, all within %s", most.Load(), time.Since(begin))
		}
	})
}

// Every wait ends at once with its context: proxmox-api-go alone sleeps on.
func TestCancel(t *testing.T) {
	running := func(r *http.Request) (*http.Response, error) {
		return says(r, 200, "OK", `{"data":{"status":"running"}}`)
	}
	silent := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	broken := func(*http.Request) (*http.Response, error) { return nil, io.EOF }
	locked := func(r *http.Request) (*http.Response, error) { return says(r, 500, "VM is locked (backup)", "") }
	get := func(ctx context.Context, c *client) error { return c.get(ctx, "/version", &struct{}{}) }
	task := func(ctx context.Context, c *client) error { return c.finish(ctx, someUPID, vmTask) }
	post := func(ctx context.Context, c *client) error {
		return c.surely(ctx, "pve", func() error { _, err := c.post(ctx, "/x", nil); return err })
	}
	for _, c := range []struct {
		name string
		wire wire
		call func(context.Context, *client) error
	}{
		{"a GET without an answer", silent, get},
		{"a GET that is repeated", broken, get},
		{"a task that runs", running, task},
		{"a task that cannot be seen", broken, task},
		{"a POST without an answer", silent, post},
		{"a POST that is repeated", broken, post},
		{"a lock that is held", locked, post},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stopped := errors.New("stopped by the user")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(1900*time.Millisecond, func() { cancel(stopped) })
				begin := time.Now()
				err := c.call(ctx, c.wire.client(t))
				if !errors.Is(err, stopped) {
					t.Errorf("error is %v", err)
				}
				if late := time.Since(begin) - 1900*time.Millisecond; late > 500*time.Millisecond {
					t.Errorf("it ended %s late", late)
				}
			})
		})
	}
}

func TestNoAnswerHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := wire(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}).client(t)
		begin := time.Now()
		err := c.get(t.Context(), "/version", &struct{}{})
		if !errors.Is(err, errSlow) || time.Since(begin) != callLimit {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
	})
}

func TestLocksAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := wire(func(r *http.Request) (*http.Response, error) {
			if time.Since(begin) < time.Minute {
				return says(r, 500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "")
			}
			return says(r, 200, "OK", `{"data":null}`)
		}).client(t)
		call := func() error { _, err := c.post(t.Context(), "/x", nil); return err }
		if err := c.patiently(t.Context(), "pve", call); err != nil {
			t.Error(err)
		}
		begin = time.Now().Add(time.Hour)
		started := time.Now()
		if err := c.patiently(t.Context(), "pve", call); !errors.Is(err, LockTimeout) || hint.Of(err) == "" {
			t.Errorf("error is %v, hint %q", err, hint.Of(err))
		}
		if took := time.Since(started); took < lockBudget || took > lockBudget+20*time.Second {
			t.Errorf("it gave up after %s", took)
		}
	})
}

func TestTokenIsReadAtFirstUse(t *testing.T) {
	reads := 0
	token := firstUse(secret.New("test", func() (string, error) { reads++; return "root@pam!x", nil }))
	c, err := newClient(&url.URL{Scheme: "https", Host: "pve"}, wire(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, io.EOF
	}), token, 1)
	if err != nil || reads != 0 {
		t.Fatalf("newClient: %v after %d reads", err, reads)
	}
	for range 2 {
		if err := c.get(t.Context(), "/version", &struct{}{}); !errors.Is(err, errToken) {
			t.Errorf("error is %v", err)
		}
	}
	if reads != 1 {
		t.Errorf("the token was read %d times", reads)
	}
}

// A task is waited for through a restart of the proxy, not through a longer
// silence.
func TestTasks(t *testing.T) {
	for _, c := range []struct {
		name   string
		exit   string
		silent time.Duration // from the start
		want   string
	}{
		{"a task that ends well", "OK", 0, ""},
		{"warnings are a success", "WARNINGS: 2", 0, ""},
		{"50 s without an answer", "OK", 50 * time.Second, ""},
		{"5 minutes without an answer", "OK", 5 * time.Minute,
			"wait for task " + someUPID + ": GET /nodes/pve1/tasks/" + someUPID + "/status: Broken pipe"},
		{"a task that fails", "unable to create VM 20001 - no space", 0,
			`task qmcreate on node "pve1": unable to create VM 20001 - no space (` + someUPID + `)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				cl := wire(func(r *http.Request) (*http.Response, error) {
					switch {
					case time.Since(begin) < c.silent:
						return says(r, 596, "Broken pipe", "")
					case strings.HasSuffix(r.URL.Path, "/log"):
						return says(r, 200, "OK", `{"data":[{"n":1,"t":"a"},{"n":2,"t":"b"},{"n":3,"t":"c"},{"n":4,"t":"d"},{"n":5,"t":"e"},{"n":6,"t":"TASK ERROR"}]}`)
					case time.Since(begin) < c.silent+3*time.Second:
						return says(r, 200, "OK", `{"data":{"status":"running"}}`)
					}
					return says(r, 200, "OK", fmt.Sprintf(`{"data":{"status":"stopped","exitstatus":%q}}`, c.exit))
				}).client(t)
				err := cl.finish(t.Context(), someUPID, vmTask)
				if got := said(err); got != c.want {
					t.Errorf("error is %q, want %q", got, c.want)
				}
				var failed *TaskError
				if errors.As(err, &failed) && cmp.Diff([]string{"b", "c", "d", "e", "TASK ERROR"}, failed.Log) != "" {
					t.Errorf("log is %q", failed.Log)
				}
			})
		})
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTaskHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := wire(func(r *http.Request) (*http.Response, error) {
			return says(r, 200, "OK", `{"data":{"status":"running"}}`)
		}).client(t)
		err := c.finish(t.Context(), someUPID, vmTask)
		if want := "task " + someUPID + " still runs after 10m0s"; said(err) != want {
			t.Errorf("error is %q, want %q", err, want)
		}
	})
}

// What the engine cannot journal is not waited for.
func TestTaskIsRecordedFirst(t *testing.T) {
	full := errors.New("disk full")
	c := wire(func(*http.Request) (*http.Response, error) { t.Error("a request was sent"); return nil, io.EOF }).client(t)
	ctx := provider.WithRecorder(t.Context(), func(handle string) error {
		if handle != someUPID {
			t.Errorf("handle is %q", handle)
		}
		return full
	})
	if err := c.finish(ctx, someUPID, vmTask); !errors.Is(err, full) {
		t.Errorf("error is %v", err)
	}
}
