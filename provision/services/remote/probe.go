package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
)

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

var machines = map[elf.Machine]string{elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "aarch64"}

// fits reports an error unless the host can run the program: it is Linux's, of
// the host's architecture, and needs no libraries of another host.
func (h *Host) fits(ctx context.Context, program []byte) error {
	file, err := travels(bytes.NewReader(program))
	if err != nil {
		return err
	}
	arch, err := h.client.Run(ctx, "uname -m")
	if err != nil {
		return fmt.Errorf("services host %s: %w", h.name, err)
	}
	if got := strings.TrimSpace(arch); got != machines[file.Machine] {
		return fmt.Errorf("services host %s is %s, this slipway is for %s", h.name, got, machines[file.Machine])
	}
	return nil
}

// travels reports an error unless the program can run on another host.
func travels(program io.ReaderAt) (*elf.File, error) {
	file, err := elf.NewFile(program)
	if err != nil {
		return nil, hint.With(fmt.Errorf("this slipway is no program for Linux: %w", err), "run it on Linux to set up a services host")
	}
	if libraries, _ := file.ImportedLibraries(); len(libraries) > 0 {
		return nil, hint.With(fmt.Errorf("this slipway needs libraries of this host: %s", strings.Join(libraries, ", ")), "build it with CGO_ENABLED=0 (make build does)")
	}
	return file, nil
}

// CheckProgram reports what keeps the program at path from running on a host
// that there is not yet.
func CheckProgram(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = travels(f)
	return err
}

// look prints what Check wants to know, a line each.
const look = `sh -c '
id -u
command -v systemctl >/dev/null && echo systemd || echo none
ip -o addr 2>/dev/null | while read -r _ _ _ a _; do echo "address $a"; done
ss -Hlntu 2>/dev/null | while read -r p _ _ _ a _; do echo "socket $p $a"; done
'`

// Check looks for what would keep d from being served there, and changes
// nothing. The sockets of our own service, which runs already, do not count.
func (h *Host) Check(ctx context.Context, d services.Document) []provider.Problem {
	out, err := h.client.Run(ctx, h.sudo+look)
	if err != nil {
		return []provider.Problem{{What: fmt.Sprintf("services host %s: %v", h.name, err), Fatal: true,
			Hint: "the user must be root, or sudo must not ask for a password: echo 'USER ALL=(ALL) NOPASSWD: ALL' in /etc/sudoers.d"}}
	}
	there, err := h.Installed(ctx)
	if err != nil {
		return []provider.Problem{{What: err.Error(), Hint: hint.Of(err), Fatal: true, Err: err}}
	}
	return h.judge(strings.Split(strings.TrimSpace(out), "\n"), d, there)
}

func (h *Host) judge(lines []string, d services.Document, ours bool) (problems []provider.Problem) {
	fatal := func(what, hint string) {
		problems = append(problems, provider.Problem{What: fmt.Sprintf("services host %s: %s", h.name, what), Hint: hint, Fatal: true})
	}
	if lines[0] != "0" {
		fatal("commands do not run as root", "let the user be root, or sudo it without a password")
	}
	if !slices.Contains(lines, "systemd") {
		fatal("there is no systemd", "run `slipway serve` there as its init system does services, with mode = \"external\"")
	}
	for _, at := range addresses(d) {
		if !slices.ContainsFunc(lines, func(l string) bool { return isAddress(l, at) }) {
			fatal(fmt.Sprintf("it has not the services address %s", at), fmt.Sprintf("on it, as root: ip addr add %s/24 dev INTERFACE, and where it keeps its network configuration", at))
		}
	}
	if ours {
		return problems
	}
	for _, taken := range conflicts(lines, d) {
		fatal("port "+taken+" is taken", "on it: ss -lntup says by whom")
	}
	return problems
}

// addresses are those that d is served at, each once.
func addresses(d services.Document) (all []netip.Addr) {
	for _, p := range d.Ports() {
		if !slices.Contains(all, p.Addr.Addr()) {
			all = append(all, p.Addr.Addr())
		}
	}
	return all
}

func isAddress(line string, at netip.Addr) bool {
	text, ok := strings.CutPrefix(line, "address ")
	p, err := netip.ParsePrefix(text)
	return ok && err == nil && p.Addr() == at
}

// conflicts lists the ports of d that somebody listens on, at its address or
// at all of them.
func conflicts(lines []string, d services.Document) (taken []string) {
	for _, l := range lines {
		protocol, local, ok := cutSocket(l)
		if !ok {
			continue
		}
		for _, p := range d.Ports() {
			name := fmt.Sprintf("%d/%s", p.Addr.Port(), p.Network)
			same := local.Port() == p.Addr.Port() && (local.Addr() == p.Addr.Addr() || local.Addr().IsUnspecified())
			if protocol == p.Network && same && !slices.Contains(taken, name) {
				taken = append(taken, name)
			}
		}
	}
	return taken
}

// cutSocket reads a line such as "socket tcp 192.0.2.210%eth0:53".
func cutSocket(line string) (protocol string, local netip.AddrPort, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != "socket" {
		return "", local, false
	}
	text := strings.Replace(fields[2], "*:", "[::]:", 1)
	if i, j := strings.Index(text, "%"), strings.LastIndex(text, ":"); i >= 0 && j > i {
		text = text[:i] + text[j:]
	}
	local, err := netip.ParseAddrPort(text)
	return fields[1], local, err == nil
}
