package pve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A task is work that goes on after the request that asked for it.
type task struct {
	upid       string
	kind, id   string
	node, user string
	pid        int
	pstart     int
	started    time.Time
	cancel     context.CancelFunc
	done       chan struct{} // closed at its end

	// guarded by Server.mu
	ended    time.Time // zero while it runs
	exit     string
	warnings int
	log      []string
}

// fork starts a task and returns its UPID. The work's context ends when the
// task is aborted or the server closed.
func (s *Server) fork(c *call, node, kind, id string, work func(context.Context, *task) error) (string, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	s.pid++
	t := &task{kind: kind, id: id, node: node, user: c.token.ID, started: time.Now(),
		pid: s.pid, pstart: s.pid * 7, cancel: cancel, done: make(chan struct{})}
	t.upid = fmt.Sprintf("UPID:%s:%08X:%08X:%08X:%s:%s:%s:", node, t.pid, t.pstart, t.started.Unix(), kind, id, t.user)
	s.tasks = append(s.tasks, t)
	s.mu.Unlock()
	s.jobs.Go(func() {
		defer cancel()
		s.finish(t, work(ctx, t))
	})
	return t.upid, nil
}

func (s *Server) finish(t *task, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ended = time.Now()
	switch {
	case errors.Is(err, context.Canceled):
		t.exit = "interrupted by signal"
	case err != nil:
		t.exit = strings.TrimSuffix(err.Error(), "\n")
	case t.warnings > 0:
		t.exit = fmt.Sprintf("WARNINGS: %d", t.warnings)
	default:
		t.exit = "OK"
	}
	last := "TASK " + t.exit
	if err != nil {
		last = "TASK ERROR: " + t.exit
	}
	t.log = append(t.log, last)
	close(t.done)
}

// print adds a line to the task's log.
func (s *Server) print(t *task, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.log = append(t.log, fmt.Sprintf(format, args...))
}

// RunningTasks returns the UPIDs of the tasks that have not ended.
func (s *Server) RunningTasks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	upids := []string{}
	for _, t := range s.tasks {
		if t.ended.IsZero() {
			upids = append(upids, t.upid)
		}
	}
	return upids
}

// abort stops the running tasks of one kind and id that t may stop; it
// returns their UPIDs.
func (s *Server) abort(kind, id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var upids []string
	for _, t := range s.tasks {
		if t.kind == kind && t.id == id && t.ended.IsZero() {
			t.cancel()
			upids = append(upids, t.upid)
		}
	}
	return upids
}

var (
	taskParams    = schema{"node": nodeParam, "upid": text}
	taskLogParams = schema{"node": nodeParam, "upid": text, "download": boolean.opt(),
		"limit": integer.opt().atLeast(0), "start": integer.opt().atLeast(0)}
	taskListParams = schema{
		"node": nodeParam, "vmid": vmidParam.opt(), "errors": boolean.opt(),
		"limit": integer.opt().atLeast(0), "start": integer.opt().atLeast(0),
		"since": integer.opt(), "until": integer.opt(),
		"source": text.opt().of("archive", "active", "all"), "typefilter": text.opt(),
		"userfilter": text.opt(), "statusfilter": text.opt().as(listOf(isTaskKind)),
	}
)

// findTask looks a task up by its UPID; others than its owner need priv.
func findTask(c *call, priv string) (*task, error) {
	upid := c.params["upid"]
	parts := strings.Split(upid, ":")
	if len(parts) != 9 || parts[0] != "UPID" {
		return nil, badParam("upid", "unable to parse worker upid '"+upid+"'")
	}
	c.srv.mu.Lock()
	i := slices.IndexFunc(c.srv.tasks, func(t *task) bool { return t.upid == upid && t.node == c.node })
	var t *task
	if i >= 0 {
		t = c.srv.tasks[i]
	}
	c.srv.mu.Unlock()
	if parts[7] != c.token.ID {
		if err := c.srv.check(c.token, "/nodes/"+c.node, priv); err != nil {
			return nil, err
		}
	}
	if t == nil {
		return nil, die("no such task")
	}
	return t, nil
}

func getTaskStatus(c *call) (any, error) {
	t, err := findTask(c, "Sys.Audit")
	if err != nil {
		return nil, err
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	entry := t.describe()
	delete(entry, "endtime")
	entry["status"] = "running"
	if !t.ended.IsZero() {
		entry["status"], entry["exitstatus"] = "stopped", t.exit
	}
	return entry, nil
}

// describe is the entry of a task in lists. The caller holds Server.mu.
func (t *task) describe() map[string]any {
	entry := map[string]any{
		"upid": t.upid, "node": t.node, "pid": t.pid, "pstart": t.pstart, "starttime": t.started.Unix(),
		"type": t.kind, "id": t.id, "user": t.user, "status": "RUNNING",
	}
	if user, name, ok := strings.Cut(t.user, "!"); ok {
		entry["user"], entry["tokenid"] = user, name
	}
	if !t.ended.IsZero() {
		entry["endtime"], entry["status"] = t.ended.Unix(), t.exit
	}
	return entry
}

func getTaskLog(c *call) (any, error) {
	t, err := findTask(c, "Sys.Audit")
	if err != nil {
		return nil, err
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	type line struct {
		N int    `json:"n"`
		T string `json:"t"`
	}
	lines := []line{}
	for i, text := range t.log {
		lines = append(lines, line{i + 1, text})
	}
	if len(lines) == 0 {
		lines = []line{{1, "no content"}}
	}
	return counted{page(lines, c), len(lines)}, nil
}

// page cuts start and limit out of a list; limit 0 means all.
func page[T any](list []T, c *call) []T {
	list = list[min(c.number("start", 0), len(list)):]
	if limit := c.number("limit", 50); limit > 0 {
		list = list[:min(limit, len(list))]
	}
	return list
}

func deleteTask(c *call) (any, error) {
	t, err := findTask(c, "Sys.Modify")
	if err != nil {
		return nil, err
	}
	t.cancel()
	return nil, nil
}

func getTasks(c *call) (any, error) {
	all := c.srv.allowed(c.token, "/nodes/"+c.node, "Sys.Audit")
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	found := []map[string]any{}
	for _, t := range slices.Backward(c.srv.tasks) {
		if (all || t.user == c.token.ID) && t.node == c.node && t.wanted(c) {
			found = append(found, t.describe())
		}
	}
	return counted{page(found, c), len(found)}, nil
}

// wanted applies the filters of a task list. The caller holds Server.mu.
func (t *task) wanted(c *call) bool {
	running := t.ended.IsZero()
	switch c.params["source"] {
	case "", "archive":
		if running {
			return false
		}
	case "active":
		if !running {
			return false
		}
	}
	since, until := c.number("since", 0), c.number("until", int(time.Now().Unix())+1)
	started := int(t.started.Unix())
	return (c.params["vmid"] == "" || t.id == c.params["vmid"]) &&
		(c.params["typefilter"] == "" || t.kind == c.params["typefilter"]) &&
		strings.Contains(t.user, c.params["userfilter"]) &&
		(!c.flag("errors") || !running && t.result() != "ok") &&
		(c.params["statusfilter"] == "" || slices.Contains(splitList(c.params["statusfilter"]), t.result())) &&
		started >= since && started <= until
}

// result sorts an exit status: ok, warning, error, or unknown while it runs.
func (t *task) result() string {
	switch {
	case t.ended.IsZero():
		return "unknown"
	case t.exit == "OK":
		return "ok"
	case strings.HasPrefix(t.exit, "WARNINGS: "):
		return "warning"
	}
	return "error"
}
