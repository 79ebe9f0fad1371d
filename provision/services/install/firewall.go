package install

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/provision/services"
)

// firewall opens the ports of the document in whichever firewall runs.
func (i *installation) firewall(ctx context.Context, d services.Document) error {
	ports := d.Ports()
	switch {
	case i.active(ctx, "running", "firewall-cmd", "--state"):
		return i.openFirewalld(ctx, ports)
	case i.active(ctx, "Status: active", "ufw", "status"):
		return i.openUFW(ctx, ports)
	case i.host.has("nft"):
		return i.checkNftables(ctx, ports)
	}
	return nil
}

// active reports whether a program is there and says that it works.
func (i *installation) active(ctx context.Context, says, name string, args ...string) bool {
	if !i.host.has(name) {
		return false
	}
	out, err := i.host.run(ctx, name, args...)
	return err == nil && strings.Contains(out, says) && !strings.Contains(out, "not "+says)
}

func (i *installation) openFirewalld(ctx context.Context, ports []services.Port) error {
	for _, p := range ports {
		rule := fmt.Sprintf("%d/%s", p.Addr.Port(), p.Network)
		if _, err := i.host.run(ctx, "firewall-cmd", "--permanent", "--query-port="+rule); err == nil {
			continue // open, by somebody else
		}
		i.manifest.Firewalld = append(i.manifest.Firewalld, rule)
		if err := i.note(); err != nil {
			return err
		}
		if _, err := i.host.run(ctx, "firewall-cmd", "--permanent", "--add-port="+rule); err != nil {
			return err
		}
	}
	_, err := i.host.run(ctx, "firewall-cmd", "--reload")
	return err
}

func (i *installation) openUFW(ctx context.Context, ports []services.Port) error {
	for _, p := range ports {
		rule := []string{"allow", "proto", p.Network, "to", p.Addr.Addr().String(), "port", fmt.Sprint(p.Addr.Port()), "comment", "slipway"}
		if slices.ContainsFunc(i.manifest.UFW, func(r []string) bool { return slices.Equal(r, rule) }) {
			continue
		}
		i.manifest.UFW = append(i.manifest.UFW, rule)
		if err := i.note(); err != nil {
			return err
		}
		if _, err := i.host.run(ctx, "ufw", rule...); err != nil {
			return err
		}
	}
	return nil
}

// checkNftables refuses a ruleset that drops what nobody has accepted: a rule
// of ours in a table of ours could not help, and we do not edit foreign ones.
func (i *installation) checkNftables(ctx context.Context, ports []services.Port) error {
	out, err := i.host.run(ctx, "nft", "-j", "list", "chains")
	if err != nil {
		return err
	}
	var list struct {
		Entries []struct {
			Chain *struct{ Family, Table, Name, Hook, Policy string } `json:"chain"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return fmt.Errorf("nft list chains: %w", err)
	}
	for _, e := range list.Entries {
		if c := e.Chain; c != nil && c.Hook == "input" && c.Policy == "drop" {
			chain := c.Family + " " + c.Table + " " + c.Name
			return hint.With(fmt.Errorf("the firewall's chain %s drops what it does not accept", chain), nftRules(chain, ports))
		}
	}
	return nil
}

// nftRules are what has to be accepted.
func nftRules(chain string, ports []services.Port) string {
	numbers := map[string][]string{}
	for _, p := range ports {
		if n := fmt.Sprint(p.Addr.Port()); !slices.Contains(numbers[p.Network], n) {
			numbers[p.Network] = append(numbers[p.Network], n)
		}
	}
	var rules []string
	for _, protocol := range []string{"udp", "tcp"} {
		if n := numbers[protocol]; n != nil {
			rules = append(rules, fmt.Sprintf("nft insert rule %s %s dport { %s } accept", chain, protocol, strings.Join(n, ", ")))
		}
	}
	return "accept its ports, there and where your ruleset is kept: " + strings.Join(rules, "; ") + "; or begin with --no-firewall"
}

func (i *installation) closeFirewall(ctx context.Context) error {
	for _, rule := range i.manifest.UFW {
		if _, err := i.host.run(ctx, "ufw", append([]string{"delete"}, withoutComment(rule)...)...); err != nil {
			return err
		}
	}
	for _, rule := range i.manifest.Firewalld {
		if _, err := i.host.run(ctx, "firewall-cmd", "--permanent", "--remove-port="+rule); err != nil {
			return err
		}
	}
	if len(i.manifest.Firewalld) == 0 {
		return nil
	}
	_, err := i.host.run(ctx, "firewall-cmd", "--reload")
	return err
}

func withoutComment(rule []string) []string { return rule[:slices.Index(rule, "comment")] }
