package plan

import (
	"fmt"
	"slices"
)

// Moved compares a plan that was confirmed with the one that was made just
// now, and says what keeps the first from being carried out as it is; nil when
// nothing does.
//
// What was to be created, adopted or updated and is kept by now has been done,
// as it is after a run that was interrupted, and does not count: what is left
// to do is then a part of what was confirmed, and never anything else.
func Moved(was, is Plan) []string {
	if was.Cluster != is.Cluster {
		return []string{fmt.Sprintf("it is a plan for %s, and the spec has %s", was.Cluster, is.Cluster)}
	}
	changes := compared(was.Changes, is.Changes)
	var moved []string
	switch {
	case was.Spec != is.Spec:
		moved = append(moved, "the spec means something else now")
	case len(changes) == 0:
	case was.World != is.World:
		moved = append(moved, "the world has changed")
	default:
		moved = append(moved, "this slipway plans in another way than the one that wrote it")
	}
	return append(moved, changes...)
}

// compared says which changes of was are no longer so, and which of is are new.
func compared(was, is []Change) (moved []string) {
	now := make(map[key]Change, len(is))
	for _, c := range is {
		now[keyOf(c)] = c
	}
	for _, c := range was {
		n, there := now[keyOf(c)]
		delete(now, keyOf(c))
		switch {
		case !there && c.Kind == Image && installed(is): // it has served its purpose
		case !there:
			moved = append(moved, fmt.Sprintf("%s %s was planned as %s, and is not in the plan now", c.Kind, c.Name, c.Action))
		default:
			moved = append(moved, c.against(n)...)
		}
	}
	for _, c := range is {
		if _, left := now[keyOf(c)]; left {
			moved = append(moved, fmt.Sprintf("%s %s was not in the plan, and is now as %s", c.Kind, c.Name, c.Action))
		}
	}
	return moved
}

// A key finds a change in another plan. Extra machines may share a name.
type key struct {
	kind     Kind
	name, id string
}

func keyOf(c Change) key {
	if c.Action == Extra && c.Node != nil {
		return key{c.Kind, c.Name, c.Node.ID}
	}
	return key{c.Kind, c.Name, ""}
}

func installed(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.Kind == Cluster && c.Action == Keep })
}

// against says how n, which was planned as c, is neither so still nor done.
func (c Change) against(n Change) (moved []string) {
	what := fmt.Sprintf("%s %s", c.Kind, c.Name)
	if c.Action != n.Action && (n.Action != Keep || !slices.Contains(doable, c.Action)) {
		return []string{fmt.Sprintf("%s was planned as %s, and is now %s", what, c.Action, n.Action)}
	}
	for _, d := range n.Drift {
		if !slices.ContainsFunc(c.Drift, func(was Drift) bool { return was.What == d.What }) {
			moved = append(moved, fmt.Sprintf("%s: %s", what, d.What))
		}
	}
	if c.Detail != n.Detail || c.node() != n.since(c) {
		moved = append(moved, what+" is not as it was planned")
	}
	return moved
}

// doable are the actions after which a thing is kept.
var doable = []Action{Create, Adopt, Update}

func (c Change) node() Node {
	if c.Node == nil {
		return Node{}
	}
	return *c.Node
}

// since is the node without what became known of it only after it was planned
// as was.
func (c Change) since(was Change) Node {
	n, before := c.node(), was.node()
	if before.ID == "" {
		n.ID, n.Place = "", ""
	}
	if before.Address == "" {
		n.Address = ""
	}
	return n
}
