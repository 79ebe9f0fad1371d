package loadbalancer

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ask sends one command to one of haproxy's sockets and returns the answer.
func ask(ctx context.Context, socket, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := exchange(ctx, socket, command)
	if err != nil {
		return "", fmt.Errorf("ask haproxy to %s: %w", command, err)
	}
	return answer, nil
}

// exchange closes its sending side, without which the master's socket keeps
// waiting for more.
func exchange(ctx context.Context, socket, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 4<<20))
	return string(answer), err
}

// The types of rows that "show stat" has (management guide 9.1).
const (
	statFrontend = "0"
	statServer   = "2"
)

// parseStat reads the answer to "show stat"; now is when it was asked.
func parseStat(answer string, now time.Time) (Stats, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# ")))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return Stats{}, errors.Join(errors.New("haproxy's statistics are not readable"), err)
	}
	byType := map[string][]record{}
	for _, row := range rows[1:] {
		f := fields(rows[0], row)
		byType[f["type"]] = append(byType[f["type"]], f)
	}
	servers, err := servers(byType[statServer], now)
	if err != nil {
		return Stats{}, err
	}
	return Stats{frontends(byType[statFrontend], servers), servers}, nil
}

// frontends makes FrontendStats of rows, but for addresses, which they lack.
func frontends(rows []record, servers []Server) (out []FrontendStats) {
	for _, f := range rows {
		name := f["pxname"]
		out = append(out, FrontendStats{
			Name: name, Sessions: int(f.number("scur")), Total: f.number("stot"), Refused: f.number("dcon"), In: f.number("bin"), Out: f.number("bout"),
			Up: slices.ContainsFunc(servers, func(s Server) bool { return s.Frontend == name && s.Up }),
		})
	}
	return out
}

// servers makes Servers of rows; one that is not checked itself has the check
// of the one it tracks.
func servers(rows []record, now time.Time) ([]Server, error) {
	checks := map[string]string{}
	for _, f := range rows {
		checks[f["pxname"]+"/"+f["svname"]] = f.lastCheck()
	}
	var out []Server
	for _, f := range rows {
		s, err := f.server(now)
		if err != nil {
			return nil, err
		}
		s.Check = checks[cmp.Or(f["tracked"], s.Frontend+"/"+s.Name)]
		out = append(out, s)
	}
	return out, nil
}

// A record is a row of a table by the names of its columns.
type record map[string]string

func fields(names, values []string) record {
	f := record{}
	for i, name := range names {
		if i < len(values) {
			f[name] = values[i]
		}
	}
	return f
}

func (f record) server(now time.Time) (Server, error) {
	since := now.Add(-time.Duration(min(f.number("lastchg"), 1<<32)) * time.Second).Truncate(time.Second)
	address, err := netip.ParseAddrPort(f["addr"])
	if err != nil {
		return Server{}, fmt.Errorf("haproxy's statistics of server %s/%s: %w", f["pxname"], f["svname"], err)
	}
	return Server{
		Frontend: f["pxname"], Name: f["svname"], Address: address,
		State: f["status"], Up: strings.HasPrefix(f["status"], "UP") || f["status"] == "no check",
		Since:    since,
		Sessions: int(f.number("scur")), Total: f.number("stot"), Errors: f.number("econ"), In: f.number("bin"), Out: f.number("bout"),
	}, nil
}

// number is 0 for an empty column: what is not counted in this row.
func (f record) number(name string) uint64 {
	n, err := strconv.ParseUint(f[name], 10, 63)
	if err != nil {
		return 0
	}
	return n
}

// lastCheck joins what tells why a server is up or down: the status, which
// starts with * while a check is under way, the HTTP status, the system's word.
func (f record) lastCheck() string {
	words := []string{strings.TrimPrefix(f["check_status"], "* "), f["check_code"], f["last_chk"]}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

// A procs is what the master says of itself and its workers.
type procs struct {
	worker  int // pid of the current one
	reloads int // since the master started
	failed  int // reloads in a row that failed; always 0 before HAProxy 2.5
}

// parseProcs reads the master's answer to "show proc" (management guide 9.4).
func parseProcs(answer string) (procs, error) {
	head, workers, ok := strings.Cut(answer, "# workers\n")
	_, master, found := strings.Cut(head, " master ")
	if !ok || !found {
		return procs{}, errors.New("haproxy's master does not tell of its processes")
	}
	var p procs
	fmt.Sscanf(strings.TrimSpace(master), "%d [failed: %d]", &p.reloads, &p.failed)
	current, old, _ := strings.Cut(workers, "# old workers\n")
	if p.worker = youngest(current); p.worker == 0 {
		// A worker that could not start is gone, and the one before goes on (HAProxy 3.1).
		p.worker, p.failed = youngest(old), max(p.failed, 1)
	}
	if p.worker == 0 {
		return p, errors.New("haproxy has no worker")
	}
	return p, nil
}

// youngest is the worker that has seen the fewest reloads, or 0.
func youngest(lines string) (worker int) {
	fewest := math.MaxInt
	for line := range strings.Lines(lines) {
		var pid, reloads int
		if n, _ := fmt.Sscanf(line, "%d worker %d", &pid, &reloads); n == 2 && pid > 0 && reloads < fewest {
			worker, fewest = pid, reloads
		}
	}
	return worker
}

// stateVersion begins a state file: the version of its format (management
// guide 9.3, show servers state).
const stateVersion = "1\n"

// stateFile makes the file that a new worker learns the servers' states from
// out of the old one's answer to "show servers state". Only members of c are
// kept whose address and port are the same: haproxy would take the port from
// this file, not from its configuration.
func stateFile(answer string, c Config) string {
	header, lines := memberLines(answer, c)
	return stateVersion + header + strings.Join(lines, "")
}

func memberLines(answer string, c Config) (header string, lines []string) {
	members := memberKeys(c)
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(line, "# ") {
			header = line
		} else if members[stateKey(header, line)] {
			lines = append(lines, line)
		}
	}
	return header, lines
}

func stateKey(header, line string) string {
	f := fields(strings.Fields(strings.TrimPrefix(header, "# ")), strings.Fields(line))
	return f["be_name"] + "/" + f["srv_name"] + "@" + f["srv_addr"] + "/" + f["srv_port"]
}

func memberKeys(c Config) map[string]bool {
	keys := map[string]bool{}
	for _, f := range c.Frontends {
		for _, m := range f.Members {
			keys[fmt.Sprintf("%s/%s@%s/%d", f.Name, m.Name, m.Address.Addr(), m.Address.Port())] = true
		}
	}
	return keys
}

// complete says whether the answer to "show servers state" has all of c.
func complete(answer string, c Config) error {
	_, lines := memberLines(answer, c)
	if want := memberKeys(c); len(lines) < len(want) {
		return fmt.Errorf("haproxy has %d of %d servers", len(lines), len(want))
	}
	return nil
}
