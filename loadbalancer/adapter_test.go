package loadbalancer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// asHAProxy in the environment makes this test binary an Embedded that can be
// started and asked like the haproxy of our own configurations: what drills
// haproxy can drill it, and a benchmark can measure it from outside.
const asHAProxy = "LOADBALANCER_TEST_AS_HAPROXY"

// adapter is the main function of that process. It knows -c, -f, -S, and on
// its sockets what the drill asks.
func adapter(args []string) error {
	a := &adapted{file: argument(args, "-f"), maint: map[string]bool{}}
	if err := a.read(); err != nil || slices.Contains(args, "-c") {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	e, err := StartEmbedded(ctx, a.config)
	if err != nil {
		return err
	}
	a.balancer = e
	for _, path := range []string{argument(args, "-S"), a.socket} {
		path, _, _ = strings.Cut(path, ",")
		if path == "" {
			continue
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		go a.serve(l)
	}
	<-ctx.Done()
	return e.Stop(context.Background())
}

func argument(args []string, option string) string {
	i := slices.Index(args, option)
	if i < 0 || i+1 == len(args) {
		return ""
	}
	return args[i+1]
}

type adapted struct {
	file, socket string
	balancer     *Embedded

	mu     sync.Mutex
	config Config
	maint  map[string]bool
}

// read understands what Render writes, and what the drill makes of it.
func (a *adapted) read() error {
	text, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	var c Config
	var f *Frontend
	for line := range strings.Lines(string(text)) {
		w := append(strings.Fields(line), "", "", "", "", "")
		switch w[0] {
		case "stats":
			if w[1] == "socket" {
				a.socket = w[2]
			}
		case "listen":
			c.Frontends = append(c.Frontends, Frontend{Name: w[1]})
			f = &c.Frontends[len(c.Frontends)-1]
		case "global", "defaults", "frontend":
			f = nil
		}
		if f != nil {
			f.read(w)
		}
	}
	a.config = c
	return c.Validate()
}

func (f *Frontend) read(w []string) {
	switch w[0] {
	case "bind":
		f.Bind = netip.MustParseAddrPort(w[1])
	case "acl":
		for _, p := range w[3:] {
			if p != "" {
				f.Allow = append(f.Allow, netip.MustParsePrefix(p))
			}
		}
	case "http-check":
		if kind := map[string]Check{"/readyz": CheckAPI, "/healthz": CheckMachine, "/healthz/ready": CheckRouter}[w[5]]; kind != "" {
			f.Check = kind
		}
	case "server":
		m := Member{Name: w[1], Address: netip.MustParseAddrPort(w[2])}
		if slices.Contains(w, "backup") {
			m.Role = RoleBootstrap
		}
		f.Members = append(f.Members, m)
	}
}

func (a *adapted) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		io.WriteString(conn, a.answer(strings.Fields(line)))
		conn.Close()
	}
}

func (a *adapted) answer(command []string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(command) > 1 && command[1] == "stat":
		return a.stat()
	case len(command) == 5 && command[4] == "maint": // set server api/control-0 state maint
		a.maint[command[2]] = true
		a.drop(command[2])
		return "\n"
	case len(command) == 3 && command[0] == "del":
		return "Server deleted.\n"
	case len(command) == 1 && command[0] == "reload":
		if err := a.read(); err != nil {
			return err.Error()
		}
	default:
		return "unknown command\n"
	}
	return fmt.Sprint(a.balancer.Apply(context.Background(), a.config))
}

func (a *adapted) drop(key string) {
	frontend, name, _ := strings.Cut(key, "/")
	for i := range a.config.Frontends {
		if f := &a.config.Frontends[i]; f.Name == frontend {
			f.Members = slices.DeleteFunc(slices.Clone(f.Members), func(m Member) bool { return m.Name == name })
		}
	}
	_ = a.balancer.Apply(context.Background(), a.config)
}

// stat is "show stat" with the state in its place, the 18th column.
func (a *adapted) stat() string {
	st, _ := a.balancer.Stats(context.Background())
	var out strings.Builder
	out.WriteString("# pxname,svname\n")
	for _, s := range st.Servers {
		fmt.Fprintf(&out, "%s,%s%s%s\n", s.Frontend, s.Name, strings.Repeat(",", 16), s.State)
	}
	for key := range a.maint {
		frontend, name, _ := strings.Cut(key, "/")
		fmt.Fprintf(&out, "%s,%s%sMAINT\n", frontend, name, strings.Repeat(",", 16))
	}
	return out.String()
}
