package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/slipway-project/slipway/provision/plan"
)

var signs = map[plan.Action]string{plan.Create: "+", plan.Adopt: ">", plan.Keep: " ", plan.Delete: "-"}

// Plan draws a plan for people: each change, then the names and ports that
// the cluster will answer at.
func Plan(w io.Writer, p plan.Plan) error {
	fmt.Fprintf(w, "Plan for %s\n\n", p.Cluster)
	var rows [][]string
	for _, c := range p.Changes {
		rows = append(rows, changeRow(c))
	}
	if err := Table(w, []string{" ", "what", "name", "detail"}, rows); err != nil {
		return err
	}
	planNotes(w, p)
	if err := planServices(w, p); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s.\n", p.Summary())
	return err
}

func changeRow(c plan.Change) []string {
	detail := c.Detail
	if n := c.Node; n != nil {
		detail = fmt.Sprintf("%s  %d vCPU  %d MiB  %d GiB  %s", n.Address, n.CPUs, n.Memory, n.Disk, n.MAC)
		if n.ID != "" {
			detail += fmt.Sprintf("  id %s on %s", n.ID, n.Place)
		}
	}
	return []string{signs[c.Action], string(c.Kind), c.Name, strings.TrimSpace(detail)}
}

func planNotes(w io.Writer, p plan.Plan) {
	for _, c := range p.Changes {
		if c.Reason != "" {
			fmt.Fprintf(w, "\n%s %s: %s", c.Action, c.Name, c.Reason)
		}
		for _, d := range c.Drift {
			fmt.Fprintf(w, "\n%s drifts: %s", c.Name, d)
		}
	}
	fmt.Fprintln(w)
}

func planServices(w io.Writer, p plan.Plan) error {
	if len(p.Records) == 0 {
		return nil
	}
	var rows [][]string
	for _, r := range p.Records {
		if r.Type != "PTR" {
			rows = append(rows, []string{r.Name, r.Type, r.Data})
		}
	}
	if err := Table(w, []string{"dns", "type", "data"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	rows = nil
	for _, f := range p.Frontends {
		rows = append(rows, []string{f.Name, f.Bind.String(), strings.Join(f.Nodes, " ")})
	}
	return Table(w, []string{"balancer", "at", "nodes"}, rows)
}
