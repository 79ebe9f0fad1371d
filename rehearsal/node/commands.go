package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An invocation is a command with its arguments.
type invocation struct {
	*system
	root   root
	args   []string
	in     io.Reader
	out    io.Writer
	errOut io.Writer
}

// commands are the programs of a simulated host; any other is not found.
var commands = map[string]func(invocation) uint8{
	"cat": invocation.cat, "hostname": invocation.hostnameCommand, "uname": invocation.uname,
	"systemctl": invocation.systemctl, "timedatectl": invocation.timedatectl, "journalctl": invocation.journalctl,
	"ip": invocation.ip, "df": invocation.df, "whoami": invocation.whoami,
	"true": func(invocation) uint8 { return 0 }, "false": func(invocation) uint8 { return 1 },
}

func (c invocation) usage() uint8 {
	fmt.Fprintf(c.errOut, "unrecognized arguments: %s\n", strings.Join(c.args, " "))
	return 1
}

func (c invocation) cat() (status uint8) {
	if len(c.args) == 0 && c.in != nil {
		io.Copy(c.out, c.in)
	}
	for _, name := range c.args {
		data, err := c.root.read(abs("/", name))
		var failed *fs.PathError
		if errors.As(err, &failed) {
			fmt.Fprintf(c.errOut, "cat: %s: %v\n", name, failed.Err)
			status = 1
		}
		io.WriteString(c.out, data)
	}
	return status
}

func (c invocation) hostnameCommand() uint8 {
	name := c.name()
	switch {
	case len(c.args) == 1 && (c.args[0] == "-s" || c.args[0] == "--short"):
		name, _, _ = strings.Cut(name, ".")
	case len(c.args) > 1 || len(c.args) == 1 && c.args[0] != "-f" && c.args[0] != "--fqdn":
		return c.usage()
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func (c invocation) whoami() uint8 {
	fmt.Fprintln(c.out, coreUser)
	return 0
}

const kernel = "5.14.0-570.49.1.el9_6.x86_64"

func (c invocation) uname() uint8 {
	switch strings.Join(c.args, " ") {
	case "", "-s":
		fmt.Fprintln(c.out, "Linux")
	case "-r":
		fmt.Fprintln(c.out, kernel)
	case "-n":
		fmt.Fprintln(c.out, c.name())
	case "-m":
		fmt.Fprintln(c.out, "x86_64")
	case "-a":
		fmt.Fprintf(c.out, "Linux %s %s #1 SMP PREEMPT_DYNAMIC x86_64 x86_64 x86_64 GNU/Linux\n", c.name(), kernel)
	default:
		return c.usage()
	}
	return 0
}

func (c invocation) timedatectl() uint8 {
	if !slices.Contains(c.args, "show") {
		return c.usage()
	}
	values := [][2]string{{"Timezone", "UTC"}, {"LocalRTC", "no"}, {"CanNTP", "yes"}, {"NTP", "yes"}, {"NTPSynchronized", "yes"},
		{"TimeUSec", time.Now().UTC().Format("Mon 2006-01-02 15:04:05 MST")}}
	wanted, bare := properties(c.args)
	for _, v := range values {
		printProperty(c.out, v[0], v[1], wanted, bare)
	}
	return 0
}

// properties reads -p NAME, -pNAME, --property=NAME and, without the name in
// the output, -P NAME and --value.
func properties(args []string) (wanted []string, bare bool) {
	for i, arg := range args {
		switch {
		case (arg == "-p" || arg == "-P") && i+1 < len(args):
			wanted, bare = append(wanted, strings.Split(args[i+1], ",")...), bare || arg == "-P"
		case strings.HasPrefix(arg, "--property="):
			wanted = append(wanted, strings.Split(strings.TrimPrefix(arg, "--property="), ",")...)
		case arg == "--value":
			bare = true
		}
	}
	return wanted, bare
}

func printProperty(w io.Writer, key, value string, wanted []string, bare bool) {
	switch {
	case len(wanted) > 0 && !slices.Contains(wanted, key):
	case bare:
		fmt.Fprintln(w, value)
	default:
		fmt.Fprintf(w, "%s=%s\n", key, value)
	}
}

func (c invocation) journalctl() uint8 {
	unit, n := "", 10
	for i, arg := range c.args {
		switch next := i+1 < len(c.args); {
		case arg == "-u" && next:
			unit = unitName(c.args[i+1])
		case arg == "-n" && next:
			n, _ = strconv.Atoi(c.args[i+1])
		}
	}
	lines := c.entries(unit, n)
	for _, e := range lines {
		fmt.Fprintf(c.out, "%s %s %s: %s\n", e.at.UTC().Format("Jan 02 15:04:05"), c.name(), strings.TrimSuffix(e.unit, ".service"), e.text)
	}
	if len(lines) == 0 {
		fmt.Fprintln(c.out, "-- No entries --")
	}
	return 0
}

// ip knows `ip -j addr`, which is what programs ask.
func (c invocation) ip() uint8 {
	asked := strings.Join(c.args, " ")
	if !slices.Contains([]string{"-j addr", "-j a", "-j address", "-j addr show", "-j address show"}, asked) {
		return c.usage()
	}
	list := []ipLink{{Index: 1, Name: "lo", State: "UNKNOWN", MTU: 65536, MAC: "00:00:00:00:00:00",
		Addrs: []ipAddr{{"inet", "127.0.0.1", 8, "host"}}}}
	for i, p := range c.net.ports {
		list = append(list, ipLink{Index: i + 2, Name: p.nic.Name, State: "UP", MTU: p.effectiveMTU(), MAC: p.nic.MAC.String(), Addrs: ipAddrs(p.addrs)})
	}
	json.NewEncoder(c.out).Encode(list)
	return 0
}

type ipLink struct {
	Index int      `json:"ifindex"`
	Name  string   `json:"ifname"`
	MTU   int      `json:"mtu"`
	State string   `json:"operstate"`
	MAC   string   `json:"address"`
	Addrs []ipAddr `json:"addr_info"`
}

type ipAddr struct {
	Family string `json:"family"`
	Local  string `json:"local"`
	Prefix int    `json:"prefixlen"`
	Scope  string `json:"scope"`
}

func ipAddrs(prefixes []netip.Prefix) []ipAddr {
	list := []ipAddr{}
	for _, p := range prefixes {
		family := "inet"
		if p.Addr().Is6() {
			family = "inet6"
		}
		list = append(list, ipAddr{family, p.Addr().String(), p.Bits(), "global"})
	}
	return list
}

func (i netInterface) effectiveMTU() int {
	if i.mtu == 0 {
		return 1500
	}
	return i.mtu
}

func (c invocation) df() uint8 {
	device := "/dev/sda4"
	if c.live {
		device = "overlay"
	}
	size := c.host.diskBytes() >> 10
	fmt.Fprintln(c.out, "Filesystem     1K-blocks     Used Available Use% Mounted on")
	for _, mount := range c.mounts() {
		fmt.Fprintf(c.out, "%-14s %9d %8d %9d %3d%% %s\n", device, size, size/20, size-size/20, 5, mount)
	}
	return 0
}

func (c invocation) mounts() []string {
	var list []string
	for _, arg := range c.args {
		if strings.HasPrefix(arg, "/") {
			list = append(list, arg)
		}
	}
	if len(list) == 0 {
		return []string{"/sysroot", "/var"}
	}
	return list
}
