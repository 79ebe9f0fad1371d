package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// daemon prepares a document and says how to start its serve process.
func daemon(t *testing.T, d Document) StartOptions {
	t.Helper()
	needHAProxy(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := StartOptions{
		Exe: exe, Document: filepath.Join(dir, "services.json"), RunDir: filepath.Join(dir, "run"),
		Owner: d.Owner, Log: filepath.Join(dir, "serve.log"),
	}
	put(t, o.Document, d)
	t.Cleanup(func() {
		found, err := Find(d.Owner)
		for _, h := range found {
			Stop(context.Background(), h)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return o
}

func mustStart(t *testing.T, o StartOptions) Handle {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestDaemonIsFoundAndEnds(t *testing.T) {
	d := local(newOwner())
	o := daemon(t, d)
	h := mustStart(t, o)
	if group, err := syscall.Getpgid(h.PID); err != nil || group != h.PID {
		t.Errorf("group %d, %v: not detached", group, err)
	}
	os.RemoveAll(filepath.Dir(o.Document)) // the state is lost
	found, err := Find(d.Owner)
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v, %v; want serve and haproxy", found, err)
	}
	if diff := cmp.Diff(h, found[0]); diff != "" || found[1].RunDir != o.RunDir {
		t.Errorf("-want +got\n%s and %+v", diff, found[1])
	}
	if err := Stop(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	for _, h := range found {
		if Alive(h) {
			t.Errorf("%+v is alive", h)
		}
	}
	if err := Stop(t.Context(), h); err != nil {
		t.Errorf("to stop what is gone: %v", err)
	}
}

// Whoever is killed: DNS and balancer are back within two seconds after the
// restart, each once, and haproxy goes on if it was not the one.
func TestKilledDaemonStartsAgain(t *testing.T) {
	for name, victims := range map[string]func([]Handle) []Handle{
		"serve":   func(all []Handle) []Handle { return all[:1] },
		"haproxy": func(all []Handle) []Handle { return all[1:] },
		"all":     func(all []Handle) []Handle { return all },
	} {
		t.Run(name, func(t *testing.T) {
			d := local(newOwner())
			o := daemon(t, d)
			h := mustStart(t, o)
			before, err := Find(d.Owner)
			if err != nil || len(before) != 2 {
				t.Fatalf("found %+v, %v", before, err)
			}
			for _, v := range victims(before) {
				if err := syscall.Kill(v.PID, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			if name == "serve" {
				stillBalances(t, d)
			}
			begun := time.Now()
			if name != "haproxy" {
				within(t, time.Second, func() error { return dead(h) })
				begun = time.Now()
				h = mustStart(t, o)
			}
			within(t, 2*time.Second-time.Since(begun), func() error { return working(t, d, o.RunDir) })
			after, err := Find(d.Owner)
			if err != nil || len(after) != 2 || after[0] != h || (after[1] == before[1]) != (name == "serve") {
				t.Errorf("found %+v, %v; before %+v", after, err, before)
			}
		})
	}
}

func dead(h Handle) error {
	if Alive(h) {
		return fmt.Errorf("%+v is alive", h)
	}
	return nil
}

func stillBalances(t *testing.T, d Document) {
	t.Helper()
	conn, err := net.Dial("tcp", d.Balancer.Frontends[0].Bind.String())
	if err != nil {
		t.Fatal("haproxy went with the one who watched it: ", err)
	}
	conn.Close()
}

// working asks DNS, the balancer and serve itself.
func working(t *testing.T, d Document, runDir string) error {
	t.Helper()
	st, err := Ask(t.Context(), runDir)
	if err != nil || st.Error != "" || st.Serial != d.Serial {
		return fmt.Errorf("%v, %s", err, st.Error)
	}
	for _, f := range d.Balancer.Frontends {
		conn, err := net.Dial("tcp", f.Bind.String())
		if err != nil {
			return err
		}
		conn.Close()
	}
	if got := lookup(t, d, "api-int."+d.DNS.Zones[0].Name); !strings.HasPrefix(got, "NOERROR") {
		return fmt.Errorf("DNS says %s", got)
	}
	return nil
}

func TestQuitWaitsForTheEnd(t *testing.T) {
	d := local(newOwner())
	o := daemon(t, d)
	h := mustStart(t, o)
	if all, err := Serving(""); err != nil || !slices.Contains(all, h) {
		t.Errorf("%v, %v: not among all", all, err)
	}
	if err := Quit(t.Context(), o.RunDir); err != nil {
		t.Fatal(err)
	}
	if found, err := Find(d.Owner); err != nil || len(found) > 0 || Alive(h) {
		t.Errorf("found %+v, %v", found, err)
	}
	if err := Quit(t.Context(), o.RunDir); err == nil {
		t.Error("nobody was asked")
	}
}

func TestStopAfterKillEndsHAProxyToo(t *testing.T) {
	d := local(newOwner())
	h := mustStart(t, daemon(t, d))
	if err := syscall.Kill(h.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := Stop(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if found, err := Find(d.Owner); err != nil || len(found) > 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestStartTellsWhyItEnded(t *testing.T) {
	d := local(newOwner())
	busy, err := net.ListenPacket("udp", d.DNS.Listen[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	o := daemon(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = Start(ctx, o)
	for _, want := range []string{"it ended at once", "its log ends: ", "address already in use"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestOtherProcessWithThePidIsLeftAlone(t *testing.T) {
	h := Handle{PID: os.Getpid(), StartTime: "1", Owner: newOwner()}
	if Alive(h) {
		t.Error("the start time is not looked at")
	}
	if err := Stop(t.Context(), h); err != nil {
		t.Error(err)
	}
}

func TestPreflight(t *testing.T) {
	d := local(newOwner())
	o := daemon(t, d)
	if problems := Preflight(t.Context(), d); len(problems) > 0 {
		t.Errorf("nothing is wrong, but %+v", problems)
	}
	busy, err := net.Listen("tcp", d.Balancer.Frontends[1].Bind.String())
	if err != nil {
		t.Fatal(err)
	}
	problems := Preflight(t.Context(), d)
	busy.Close()
	want := fmt.Sprintf("address already in use by %s (pid %d)", filepath.Base(o.Exe)[:min(15, len(filepath.Base(o.Exe)))], os.Getpid())
	if len(problems) != 1 || !strings.Contains(problems[0].What, want) || problems[0].Hint == "" || !problems[0].Fatal {
		t.Errorf("got %+v, want %s", problems, want)
	}
	mustStart(t, o)
	if problems := Preflight(t.Context(), d); len(problems) > 0 {
		t.Errorf("the cluster's own serve is in its way: %+v", problems)
	}
	d.Owner = owner
	if problems := Preflight(t.Context(), d); len(problems) != 6 {
		t.Errorf("got %+v, want 6 ports of another cluster", problems)
	}
}

func TestPreflightWarnsOfTheServicesAddress(t *testing.T) {
	v := view("192.0.2.0/24", 3, 0)
	if problems := exposed(Build(v).Balancer); len(problems) > 0 {
		t.Errorf("got %+v", problems)
	}
	v.Services = netip.MustParseAddr("198.51.100.210")
	problems := exposed(Build(v).Balancer)
	if len(problems) != 1 || problems[0].Fatal || !strings.Contains(problems[0].What, "services address 198.51.100.210 is outside of the machine network") {
		t.Errorf("got %+v", problems)
	}
}

func TestPreflightMissesTheAddress(t *testing.T) {
	d := Build(view("203.0.113.0/24", 3, 2))
	problems := Preflight(t.Context(), d)
	for _, p := range problems {
		if p.What == "services address 203.0.113.210 is not on this host" && strings.Contains(p.Hint, "ip addr add 203.0.113.210/") {
			return
		}
	}
	t.Errorf("got %+v", problems)
}

// A run directory that is not there yet is none; what is in its way is.
func TestCheckRunDir(t *testing.T) {
	home := t.TempDir()
	if err := errors.Join(CheckRunDir(home), CheckRunDir(filepath.Join(home, "run", "0"))); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(home, "run"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckRunDir(filepath.Join(home, "run", "0")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 1 {
		t.Errorf("it made %v, %v", left, err)
	}
}

func TestPrivilegesAreOneProblem(t *testing.T) {
	got := unprivileged([]string{"53", "53", "443", "80"})
	if len(got) != 1 || got[0].What != "no right to bind ports 53, 443, 80" {
		t.Errorf("got %+v", got)
	}
	if unprivileged(nil) != nil {
		t.Error("a problem without ports")
	}
}

func TestOption(t *testing.T) {
	tests := []struct {
		args []string
		want bool
	}{
		{[]string{"slipway", "serve", "--document", "d", "--owner", owner}, true},
		{[]string{"slipway", "serve", "--document=d", "--owner=" + owner}, true},
		{[]string{"slipway", "serve", "--document", "d", "--owner", "other.lab.test"}, false},
		{[]string{"slipway", "serve", "status", "--owner", owner}, false},
		{[]string{"serve", "--document", "d", "--owner", owner}, false},
		{[]string{"slipway", "serve", "--document", "d", "--owner"}, false},
		{nil, false},
	}
	for _, tt := range tests {
		if got := isServe(tt.args, owner); got != tt.want {
			t.Errorf("%q: %t", tt.args, got)
		}
	}
}
