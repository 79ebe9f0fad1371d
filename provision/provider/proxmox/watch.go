package proxmox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	soonest   = 100 * time.Millisecond // between two looks at young tasks
	latest    = 2 * time.Second        // between two looks at old ones
	perTask   = 10 * time.Millisecond  // more for each that is looked at together
	crowded   = 500 * time.Millisecond // at most that much more
	blindness = time.Minute            // how long a task may be out of sight
	listLimit = 1000                   // tasks in one answer
)

// A watch looks at all tasks of a node that somebody waits for: at one by
// itself, at several by their list, so that hundreds cost no more calls than
// a few. It runs while there are such tasks.
type watch struct {
	c    *client
	node string

	mu     sync.Mutex
	tasks  map[*watched]bool
	cancel context.CancelFunc
}

type watched struct {
	task  upid
	since time.Time
	seen  time.Time // when the server last told of it
	told  chan outcome
}

// An outcome is how a task ended, or why that cannot be known.
type outcome struct {
	exit string
	err  error
}

// await returns the exit status of a task.
func (w *watch) await(ctx context.Context, task upid) (string, error) {
	t := &watched{task: task, since: time.Now(), seen: time.Now(), told: make(chan outcome, 1)}
	w.add(ctx, t)
	defer w.remove(t)
	select {
	case o := <-t.told:
		return o.exit, o.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (w *watch) add(ctx context.Context, t *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tasks) == 0 {
		watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
		w.tasks, w.cancel = make(map[*watched]bool), cancel
		go w.run(watching, w.tasks)
	}
	w.tasks[t] = true
}

// remove ends the watch with its last task.
func (w *watch) remove(t *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.tasks, t)
	if len(w.tasks) == 0 {
		w.cancel()
		w.tasks = nil
	}
}

// run looks at tasks until its context ends. The set is its own: another
// watch may have begun meanwhile.
func (w *watch) run(ctx context.Context, tasks map[*watched]bool) {
	for {
		if w.c.pace.Wait(ctx, w.pause(tasks)) != nil {
			return
		}
		w.look(ctx, w.snapshot(tasks))
	}
}

func (w *watch) snapshot(tasks map[*watched]bool) []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(tasks))
}

// pause grows with the age of the youngest task, and with their number.
func (w *watch) pause(tasks map[*watched]bool) time.Duration {
	all := w.snapshot(tasks)
	age := time.Hour
	for _, t := range all {
		age = min(age, time.Since(t.since))
	}
	more := min(crowded, time.Duration(max(0, len(all)-1))*perTask)
	return min(latest, max(soonest, time.Duration(float64(age)*max(1, float64(w.c.pace)))/8)) + more
}

func (w *watch) look(ctx context.Context, all []*watched) {
	if len(all) > 1 {
		all = w.lookAtList(ctx, all)
	}
	for _, t := range all {
		w.lookAt(ctx, t)
	}
}

type taskStatus struct {
	UPID   text   `json:"upid"`
	Status text   `json:"status"`     // running, stopped; in lists RUNNING or how it ended
	Exit   text   `json:"exitstatus"` // OK, WARNINGS: 2, or what went wrong
	End    number `json:"endtime"`    // in lists, of tasks that have ended
}

// lookAtList settles the tasks that the node lists, and returns the others:
// a list has an end, and may be a little older than its youngest task.
func (w *watch) lookAtList(ctx context.Context, all []*watched) (unlisted []*watched) {
	var list []taskStatus
	path := fmt.Sprintf("/nodes/%s/tasks?source=all&since=%d&limit=%d", w.node, earliest(all), listLimit)
	if err := w.c.get(ctx, path, &list); err != nil {
		return w.overdue(ctx, all, err)
	}
	listed := make(map[text]taskStatus, len(list))
	for _, now := range list {
		listed[now.UPID] = now
	}
	for _, t := range all {
		now, ok := listed[text(t.task.text)]
		switch {
		case !ok:
			unlisted = append(unlisted, t)
		case now.End != 0:
			t.tell(outcome{exit: string(now.Status)})
		default:
			t.seen = time.Now()
		}
	}
	return unlisted
}

// overdue returns the tasks for which a failure to look is no longer borne.
func (w *watch) overdue(ctx context.Context, all []*watched, err error) []*watched {
	if !passing(err) || ctx.Err() != nil {
		return all
	}
	return slices.DeleteFunc(all, func(t *watched) bool { return time.Since(t.seen) <= w.c.pace.Budget(blindness) })
}

func earliest(all []*watched) int64 {
	first := all[0].task.start
	for _, t := range all {
		first = min(first, t.task.start)
	}
	return first
}

func (w *watch) lookAt(ctx context.Context, t *watched) {
	var now taskStatus
	err := w.c.get(ctx, t.task.path()+"/status", &now)
	switch {
	case err == nil && now.Status == "stopped":
		t.tell(outcome{exit: string(now.Exit)})
	case err == nil:
		t.seen = time.Now()
	case ctx.Err() == nil && (!passing(err) || time.Since(t.seen) > w.c.pace.Budget(blindness)):
		t.tell(outcome{err: err})
	}
}

// tell never waits: there is room for one outcome, and one is enough.
func (t *watched) tell(o outcome) {
	select {
	case t.told <- o:
	default:
	}
}

// watches has one for each node.
type watches struct {
	mu sync.Mutex
	of map[string]*watch
}

func (ws *watches) at(c *client, node string) *watch {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of == nil {
		ws.of = make(map[string]*watch)
	}
	if ws.of[node] == nil {
		ws.of[node] = &watch{c: c, node: node}
	}
	return ws.of[node]
}
