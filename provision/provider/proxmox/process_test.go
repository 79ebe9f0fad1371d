package proxmox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/provider/proxmox"
)

// partVariable names the part that this program plays, for a test, as a
// process of its own.
const partVariable = "PROXMOX_TEST_PART"

var parts = map[string]func(context.Context, part) error{"machines": makeAndRelease, "upload": uploadAlone}

// A part is what its process is told on standard input, in a line.
type part struct {
	Spec    string // a provider block's body
	Cluster string
	Image   provider.Image
}

func TestMain(m *testing.M) {
	play, ok := parts[os.Getenv(partVariable)]
	if !ok {
		goleak.VerifyTestMain(m)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	var told part
	line, err := stdin.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &told)
	}
	if err == nil {
		err = play(ctx, told)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var stdin = bufio.NewReader(os.Stdin)

// A process plays a part. It says what it has to say in a line, and ends when
// its standard input does.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	wrong strings.Builder
}

func startProcess(t *testing.T, name string, told part) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(bounded(t), self)}
	p.cmd.Env = append(os.Environ(), partVariable+"="+name, proxmox.TokenVariable+"=slipway@pve!test="+ourSecret)
	p.cmd.Stderr = &p.wrong
	in, err1 := p.cmd.StdinPipe()
	out, err2 := p.cmd.StdoutPipe()
	p.in, p.out = in, bufio.NewReader(out)
	if err := errors.Join(err1, err2, p.cmd.Start(), json.NewEncoder(in).Encode(told)); err != nil {
		t.Fatal(err)
	}
	return p
}

// says reads the line that the process says.
func (p *process) says(t *testing.T, what any) {
	t.Helper()
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, what)
	}
	if err != nil {
		p.cmd.Wait()
		t.Fatalf("the process said %q, %v: %s", line, err, p.wrong.String())
	}
}

func (p *process) end(t *testing.T) {
	t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, p.wrong.String())
	}
}

// say tells the test something, and waits for it to take note.
func say(what any) error {
	err := json.NewEncoder(os.Stdout).Encode(what)
	_, read := io.Copy(io.Discard, stdin)
	return errors.Join(err, read)
}

const each = 5

// Two processes that want the same few ids at the same time never get the
// same one, and leave nothing behind.
func TestTwoProcessesAtOnce(t *testing.T) {
	const runs = 20
	d := newDatacentre(t, nil)
	for range runs {
		var sides []*process
		for side := range 2 {
			sides = append(sides, startProcess(t, "machines", part{
				Spec: d.spec() + fmt.Sprintf("vmid_range = \"500-%d\"\n", 500+2*each), Cluster: fmt.Sprintf("c%d.lab.test", side)}))
		}
		var ids []string
		for _, p := range sides {
			var its []string
			p.says(t, &its)
			ids = append(ids, its...)
		}
		slices.Sort(ids)
		there := d.machines()
		if len(slices.Compact(slices.Clone(ids))) != 2*each || !slices.Equal(ids, there) || !d.allRun(there) {
			t.Fatalf("ids %v were told, machines %v are there", ids, there)
		}
		for _, p := range sides {
			p.in.Close()
		}
		for _, p := range sides {
			p.end(t)
		}
		if left := d.machines(); len(left) != 0 {
			t.Fatalf("VMs %v are left", left)
		}
	}
}

func (d *datacentre) allRun(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !d.running(id) })
}

// makeAndRelease makes machines and starts them, tells their ids, and removes
// them when the test has taken note.
func makeAndRelease(ctx context.Context, told part) error {
	p, err := told.open()
	if err != nil {
		return err
	}
	defer p.Close()
	ids, all, errs := make([]string, each), make([]provider.Machine, each), make([]error, each)
	side := func(do func(i int) error) error {
		var group sync.WaitGroup
		for i := range each {
			group.Go(func() { errs[i] = do(i) })
		}
		group.Wait()
		return errors.Join(errs...)
	}
	if err := side(func(i int) (err error) {
		m := node(i)
		m.Mark.Cluster, m.Name = told.Cluster, m.Node+"."+told.Cluster
		if all[i], err = made(ctx, p, m); err == nil {
			ids[i], err = all[i].ID, p.PowerOn(ctx, all[i])
		}
		return err
	}); err != nil {
		return err
	}
	if err := say(ids); err != nil {
		return err
	}
	return side(func(i int) error { return p.Release(ctx, all[i]) })
}

func (told part) open() (*proxmox.Provider, error) {
	cfg, err := decode(told.Spec)
	if err != nil {
		return nil, err
	}
	return proxmox.Open(cfg, proxmox.Options{Pace: speed, Lookup: os.LookupEnv})
}
