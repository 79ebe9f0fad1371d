package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-project/slipway/provision/provider"
)

const (
	vmTask     = 10 * time.Minute // create, start, stop, destroy
	imageTask  = 30 * time.Minute // copying or deleting an ISO
	logTail    = 5                // lines
	logPageMax = 5000             // lines asked for
)

// A TaskError is a task that ended otherwise than well.
type TaskError struct {
	UPID string
	Node string
	Type string   // qmcreate
	Text string   // exit status, in PVE's words
	Log  []string // the last lines of its log
}

// Error returns PVE's words and the handle to look the task up by.
func (e *TaskError) Error() string {
	return fmt.Sprintf("task %s on node %q: %s (%s)", e.Type, e.Node, oneLine(e.Text), e.UPID)
}

// Unwrap classifies the text, so that errors.Is finds its [Kind].
func (e *TaskError) Unwrap() error { return newError(0, e.Text, nil) }

// An ending is how a task ended that did not fail.
type ending struct {
	kind   string // qmstart; "" when there was no task
	warned bool
}

// finish waits for the task that a call has begun. Warnings are a success:
// callers verify the state they wanted.
func (c *client) finish(ctx context.Context, handle string, within time.Duration) error {
	_, err := c.complete(ctx, handle, within)
	return err
}

// complete gives the handle of a task to the engine's journal and waits for
// its end. A call that was carried out at once has none.
func (c *client) complete(ctx context.Context, handle string, within time.Duration) (ending, error) {
	if handle == "" {
		return ending{}, nil
	}
	task, err := parseUPID(handle)
	if err != nil {
		return ending{}, err
	}
	if err := provider.Record(ctx, handle); err != nil {
		return ending{}, err
	}
	exit, err := c.wait(ctx, task, within)
	return ending{task.kind, exit != "OK"}, err
}

// wait looks at a task until it has ended.
func (c *client) wait(ctx context.Context, task upid, within time.Duration) (exit string, err error) {
	limit := c.pace.Budget(within)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("task %s still runs after %s", task.text, limit))
	defer cancel()
	exit, err = c.watches.at(c, task.node).await(ctx, task)
	switch {
	case err == nil:
		return exit, c.verdict(ctx, task, exit)
	case ctx.Err() != nil:
		return "", err
	}
	return "", fmt.Errorf("wait for task %s: %w", task.text, err)
}

func (c *client) verdict(ctx context.Context, task upid, exit string) error {
	if exit == "OK" || strings.HasPrefix(exit, "WARNINGS") {
		return nil
	}
	failed := &TaskError{UPID: task.text, Node: task.node, Type: task.kind, Text: exit, Log: c.log(ctx, task)}
	return advised(failed, newError(0, exit, nil))
}

// log returns the end of a task's log, or nothing: it only decorates an error.
func (c *client) log(ctx context.Context, task upid) []string {
	var lines []struct {
		T text `json:"t"`
	}
	if c.get(ctx, fmt.Sprintf("%s/log?limit=%d", task.path(), logPageMax), &lines) != nil {
		return nil
	}
	var tail []string
	for _, line := range lines[max(0, len(lines)-logTail):] {
		tail = append(tail, string(line.T))
	}
	return tail
}

// runningTask finds the running task of a type for a guest that user, which
// is a token's id, has begun.
func (c *client) runningTask(ctx context.Context, node, kind, user string, vmid int) (task upid, ok bool, err error) {
	var tasks []taskStatus
	path := fmt.Sprintf("/nodes/%s/tasks?vmid=%d&typefilter=%s&source=all", node, vmid, kind)
	if err := c.get(ctx, path, &tasks); err != nil {
		return upid{}, false, err
	}
	for _, t := range tasks {
		if t.End != 0 || (t.Status != "" && t.Status != "RUNNING" && t.Status != "running") {
			continue
		}
		if task, err := parseUPID(string(t.UPID)); err == nil && task.user == user {
			return task, true, nil
		}
	}
	return upid{}, false, nil
}

// underWay lists the tasks of some kinds that are under way anywhere in the
// cluster, as far as the token may see them: its own.
func (p *Provider) underWay(ctx context.Context, kinds ...string) ([]upid, error) {
	all, err := p.tasks.get(ctx)
	var found []upid
	for _, t := range all {
		if task, bad := parseUPID(string(t.UPID)); bad == nil && t.End == 0 && slices.Contains(kinds, task.kind) {
			found = append(found, task)
		}
	}
	return found, err
}

func (p *Provider) askTasks(ctx context.Context) (all []taskStatus, err error) {
	err = p.api.get(ctx, "/cluster/tasks", &all)
	return all, err
}

// settled waits for a task, however it ends: the caller looks at what there is.
func (c *client) settled(ctx context.Context, task upid, within time.Duration) error {
	var failed *TaskError
	if err := c.finish(ctx, task.text, within); !errors.As(err, &failed) {
		return err
	}
	return nil
}

// awaitImages waits for the copies and deletions of images that this token
// has begun and no run waits for any more: an image that is being deleted is
// listed still. Their handles do not tell which image it is, nor need they be
// on the node that it is for.
func (p *Provider) awaitImages(ctx context.Context) error {
	token, err := p.token()
	if err != nil {
		return err
	}
	tasks, err := p.underWay(ctx, "imgcopy", "imgdel")
	for _, task := range tasks {
		if task.user == token.id {
			err = errors.Join(err, p.api.settled(ctx, task, imageTask))
		}
	}
	return err
}

// awaitDestruction waits for the end of v that an earlier run has begun, and
// returns errGone when there was one.
func (p *Provider) awaitDestruction(ctx context.Context, v vm) error {
	ends, err := p.underWay(ctx, "qmdestroy")
	for _, task := range ends {
		if task.id == strconv.Itoa(v.id) {
			return errors.Join(errGone, err, p.api.settled(ctx, task, vmTask))
		}
	}
	return err
}
