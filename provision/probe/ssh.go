package probe

import (
	"context"
	"strings"

	"github.com/slipway-project/slipway/internal/sshx"
)

// script prints key=value lines, then the failed units one a line. It is run
// by the login shell of a CoreOS host and uses nothing else than it has.
const script = `echo boot_id=$(cat /proc/sys/kernel/random/boot_id)
echo hostname=$(hostname)
if test -e /run/ostree-live; then echo live=yes; else echo live=no; fi
echo kubelet=$(systemctl is-active kubelet)
echo failed=
systemctl --failed --no-legend --plain`

// Facts is what a host says of itself.
type Facts struct {
	BootID   string
	Hostname string
	Live     bool     // it runs the live system of a boot image
	Kubelet  string   // systemd's ActiveState
	Failed   []string // failed units
}

// Host asks a host over an open connection.
func Host(ctx context.Context, c *sshx.Client) (Facts, error) {
	out, err := c.Run(ctx, script)
	return parse(out), err
}

func parse(out string) (f Facts) {
	head, units, _ := strings.Cut(out, "failed=\n")
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "boot_id":
			f.BootID = value
		case "hostname":
			f.Hostname = value
		case "live":
			f.Live = value == "yes"
		case "kubelet":
			f.Kubelet = value
		}
	}
	for line := range strings.Lines(units) {
		if fields := strings.Fields(line); len(fields) > 0 {
			f.Failed = append(f.Failed, fields[0])
		}
	}
	return f
}
