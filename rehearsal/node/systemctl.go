package node

import (
	"fmt"
	"strings"
)

func unitName(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return name + ".service"
}

// systemctl knows is-active, is-failed, show and --failed.
func (c invocation) systemctl() uint8 {
	words := c.words()
	switch {
	case len(words) == 0 && c.flag("--failed"):
		return c.listFailed()
	case len(words) > 1 && words[0] == "is-active":
		return c.compareUnits(words[1:], "active", 3)
	case len(words) > 1 && words[0] == "is-failed":
		return c.compareUnits(words[1:], "failed", 1)
	case len(words) > 1 && words[0] == "show":
		return c.showUnits(words[1:])
	}
	return c.usage()
}

// words are the arguments that are no flags, nor the value of one.
func (c invocation) words() []string {
	var list []string
	for i, arg := range c.args {
		value := i > 0 && (c.args[i-1] == "-p" || c.args[i-1] == "-P")
		if !value && !strings.HasPrefix(arg, "-") {
			list = append(list, arg)
		}
	}
	return list
}

func (c invocation) flag(name string) bool {
	for _, arg := range c.args {
		if arg == name {
			return true
		}
	}
	return false
}

// compareUnits prints the state of each unit; the status is 0 when one of them
// is in the wanted state.
func (c invocation) compareUnits(units []string, want string, otherwise uint8) uint8 {
	status := otherwise
	for _, name := range units {
		state, known := c.unit(unitName(name))
		if !known {
			state = "inactive"
		}
		if !c.flag("--quiet") && !c.flag("-q") {
			fmt.Fprintln(c.out, state)
		}
		if state == want {
			status = 0
		}
	}
	return status
}

var subStates = map[string]string{"active": "running", "failed": "failed", "activating": "start", "inactive": "dead"}

func (c invocation) showUnits(units []string) uint8 {
	wanted, bare := properties(c.args)
	for _, name := range units {
		state, known := c.unit(unitName(name))
		load, result := "loaded", "success"
		if !known {
			load, state = "not-found", "inactive"
		}
		if state == "failed" {
			result = "exit-code"
		}
		for _, v := range [][2]string{{"Id", unitName(name)}, {"LoadState", load}, {"ActiveState", state},
			{"SubState", subStates[state]}, {"Result", result}, {"NRestarts", "0"}} {
			printProperty(c.out, v[0], v[1], wanted, bare)
		}
	}
	return 0
}

func (c invocation) listFailed() uint8 {
	failed := c.failed()
	if !c.flag("--no-legend") {
		fmt.Fprintln(c.out, "UNIT LOAD ACTIVE SUB DESCRIPTION")
	}
	for _, unit := range failed {
		fmt.Fprintf(c.out, "%s loaded failed failed %s\n", unit, strings.TrimSuffix(unit, ".service"))
	}
	if !c.flag("--no-legend") {
		fmt.Fprintf(c.out, "%d loaded units listed.\n", len(failed))
	}
	return 0
}
