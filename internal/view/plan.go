package view

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-project/slipway/provision/plan"
)

// PlanForms are the forms a plan is shown in.
var PlanForms = []string{"table", "wide", "json", "yaml", "name"}

var signs = map[plan.Action]string{plan.Create: "+", plan.Adopt: ">", plan.Update: "~", plan.Keep: " ",
	plan.Extra: "?", plan.Gone: " ", plan.Refuse: "!", plan.Delete: "-"}

// PlanAs draws a plan in one of the [PlanForms].
func PlanAs(w io.Writer, form string, p plan.Plan) error {
	switch form {
	case "table":
		return Plan(w, p)
	case "wide":
		return drawPlan(w, p, true)
	case "json":
		return JSON(w, p)
	case "yaml":
		return planYAML(w, p)
	case "name":
		return planNames(w, p)
	}
	return fmt.Errorf("output %q is none of %s", form, strings.Join(PlanForms, ", "))
}

// Plan draws a plan for people: each change, then the names and ports that
// the cluster will answer at.
func Plan(w io.Writer, p plan.Plan) error { return drawPlan(w, p, false) }

func drawPlan(w io.Writer, p plan.Plan, wide bool) error {
	fmt.Fprintf(w, "Plan for %s\n\n", p.Cluster)
	heads := []string{" ", "what", "name", "detail"}
	if wide {
		heads = append(heads, "id", "place", "mac", "uuid")
	}
	rows := make([][]string, len(p.Changes))
	for i, c := range p.Changes {
		rows[i] = changeRow(c, wide)
	}
	if err := Table(w, heads, rows); err != nil {
		return err
	}
	for _, part := range []func(io.Writer, plan.Plan) error{planNotes, planReservations, planServices, planExplained} {
		if err := part(w, p); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s.\n", p.Summary())
	return err
}

func changeRow(c plan.Change, wide bool) []string {
	row := []string{signs[c.Action], string(c.Kind), c.Name, c.Detail}
	n := c.Node
	if n == nil {
		n = &plan.Node{}
	} else {
		row[3] = fmt.Sprintf("%s  %d vCPU  %d MiB  %d GiB", planAddress(n), n.CPUs, n.Memory, n.Disk)
	}
	if wide {
		row = append(row, n.ID, n.Place, n.MAC, n.UUID)
	}
	return row
}

// planAddress is a node's address, and whether it came by DHCP.
func planAddress(n *plan.Node) string {
	switch {
	case n.DHCP && n.Address != "":
		return n.Address + " (dhcp)"
	case n.DHCP:
		return "dhcp"
	}
	return cmp.Or(n.Address, "-")
}

// planNotes says what is not plain about changes, and what to do about it.
func planNotes(w io.Writer, p plan.Plan) error {
	var notes strings.Builder
	for _, c := range p.Changes {
		if c.Reason != "" {
			fmt.Fprintf(&notes, "\n%s %s: %s", c.Action, c.Name, c.Reason)
		}
		if c.Next != "" {
			fmt.Fprintf(&notes, "\n    %s", c.Next)
		}
		for _, d := range c.Drift {
			fmt.Fprintf(&notes, "\n%s drifts: %s; %s", c.Name, d.What, repair(d))
		}
	}
	if notes.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, notes.String())
	return err
}

// repair says whether `up` puts drift right.
func repair(d plan.Drift) string {
	if d.Repairs {
		return "`up` repairs it"
	}
	return "`up` does not repair it: " + d.Why
}

func planReservations(w io.Writer, p plan.Plan) error {
	if len(p.Reservations) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nReserve one address each, in the DHCP server of the network:\n\n")
	rows := make([][]string, len(p.Reservations))
	for i, r := range p.Reservations {
		rows[i] = []string{r.Node, r.MAC, r.Hostname, cmp.Or(r.Address, "any free one")}
	}
	return Table(w, []string{"node", "mac", "hostname", "address"}, rows)
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
	fmt.Fprintln(w)
	if err := Table(w, []string{"dns", "type", "data"}, rows); err != nil {
		return err
	}
	if len(p.Frontends) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	rows = nil
	for _, f := range p.Frontends {
		rows = append(rows, []string{f.Name, f.Bind.String(), strings.Join(f.Nodes, " ")})
	}
	return Table(w, []string{"balancer", "at", "nodes"}, rows)
}

// planExplained draws defaults by the block they belong to, then changes.
func planExplained(w io.Writer, p plan.Plan) error {
	var rows [][]string
	block := ""
	for _, e := range p.Explain {
		if e.About != plan.AboutDefault {
			continue
		}
		of, what, _ := strings.Cut(e.Of, ": ")
		if of != block {
			rows, block = append(rows, []string{of, "", e.At}), of
		}
		rows = append(rows, []string{"  " + cmp.Or(what, of), e.Value, e.Why})
	}
	if rows != nil {
		fmt.Fprintln(w)
		if err := Table(w, []string{"default", "value", "why"}, rows); err != nil {
			return err
		}
	}
	return planReasons(w, p)
}

// planReasons draws why changes are made: once for neighbours that say the
// same, as machines do.
func planReasons(w io.Writer, p plan.Plan) error {
	var changes []plan.Explanation
	for _, e := range p.Explain {
		if e.About == plan.AboutChange {
			changes = append(changes, e)
		}
	}
	for i, e := range changes {
		if i == 0 || e.Why != changes[i-1].Why || e.Does != changes[i-1].Does {
			fmt.Fprintf(w, "\nwhy:  %s\ndoes: %s\n", e.Why, e.Does)
		}
		if _, err := fmt.Fprintf(w, "    %s %s\n", e.Value, e.Of); err != nil {
			return err
		}
	}
	return nil
}

// planNames names what there is something to do about: KIND/NAME a line.
func planNames(w io.Writer, p plan.Plan) error {
	for _, c := range p.Changes {
		if c.Action.Does() {
			if _, err := fmt.Fprintf(w, "%s/%s\n", c.Kind, c.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// planYAML writes the JSON form as YAML, field for field in its order.
func planYAML(w io.Writer, p plan.Plan) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var document yaml.Node // JSON is YAML
	if err := yaml.Unmarshal(text, &document); err != nil {
		return err
	}
	unfold(&document)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(&document), enc.Close())
}

// unfold has a node written in lines. What begins with a digit stays quoted:
// YAML 1.1 reads the MAC 52:54:00:12:34:56 as a number of base 60.
func unfold(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Value == "" || !strings.Contains("0123456789", n.Value[:1]) {
		n.Style = 0
	}
	for _, c := range n.Content {
		unfold(c)
	}
}
