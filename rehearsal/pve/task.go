package pve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
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
	cancel     context.CancelCauseFunc
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
	return s.forkAs(c.token.ID, node, kind, id, work), nil
}

func (s *Server) forkAs(user, node, kind, id string, work func(context.Context, *task) error) string {
	ctx, cancel := context.WithCancelCause(s.ctx)
	started := s.now()
	s.mu.Lock()
	s.pid++
	t := &task{kind: kind, id: id, node: node, user: user, started: started,
		pid: s.pid, pstart: s.pid * 7, cancel: cancel, done: make(chan struct{})}
	t.upid = fmt.Sprintf("UPID:%s:%08X:%08X:%08X:%s:%s:%s:", node, t.pid, t.pstart, t.started.Unix(), kind, id, t.user)
	s.tasks = append(s.tasks, t)
	s.mu.Unlock()
	ctx = context.WithValue(ctx, taskKey{}, t)
	s.jobs.Go(func() {
		defer cancel(nil)
		s.finish(t, work(ctx, t))
	})
	return t.upid
}

// errKilled ends tasks that get no chance to say how they ended.
var errKilled = errors.New("killed")

// errInterrupted ends those that somebody stops.
var errInterrupted = errors.New("received interrupt")

func (s *Server) finish(t *task, err error) {
	ended := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ended = ended
	switch {
	case errors.Is(err, errKilled):
		t.exit = "unexpected status"
	case errors.Is(err, context.Canceled):
		t.exit = errInterrupted.Error()
	case err != nil:
		t.exit = strings.ReplaceAll(strings.TrimSuffix(err.Error(), "\n"), "\n", " ")
	case t.warnings > 0:
		t.exit = fmt.Sprintf("WARNINGS: %d", t.warnings)
	default:
		t.exit = "OK"
	}
	switch {
	case errors.Is(err, errKilled):
	case err != nil:
		t.log = append(t.log, "TASK ERROR: "+t.exit)
	default:
		t.log = append(t.log, "TASK "+t.exit)
	}
	close(t.done)
}

// warn adds a warning to the task's log and to its exit status.
func (s *Server) warn(t *task, format string, args ...any) {
	s.print(t, "WARN: "+format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.warnings++
}

// killTasks ends the running tasks of a node as a power failure does. The
// caller holds s.mu.
func (s *Server) killTasks(node string) {
	for _, t := range s.tasks {
		if t.node == node && t.ended.IsZero() {
			t.cancel(errKilled)
		}
	}
}

// ForgetTasks removes the ended tasks from the node's logs, as the server
// itself does with old ones: to ask for one is then an error.
func (s *Server) ForgetTasks(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = slices.DeleteFunc(s.tasks, func(t *task) bool { return t.node == node && !t.ended.IsZero() })
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
			t.cancel(errInterrupted)
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

var upidFormat = regexp.MustCompile(`^UPID:[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?:[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:[^:\s]+:[^:\s]*:[^:\s]+:$`)

// findTask looks a task up by its UPID; others than its owner need priv.
func findTask(c *call, priv string) (*task, error) {
	upid := c.params["upid"]
	if !upidFormat.MatchString(upid) {
		return nil, badParam("upid", "unable to parse worker upid")
	}
	c.srv.mu.Lock()
	i := slices.IndexFunc(c.srv.tasks, func(t *task) bool { return t.upid == upid && t.node == c.node })
	var t *task
	if i >= 0 {
		t = c.srv.tasks[i]
	}
	c.srv.mu.Unlock()
	if t == nil {
		return nil, badParam("upid", "no such task")
	}
	if !t.belongsTo(c.token.ID) {
		return t, c.srv.check(c.token, "/nodes/"+c.node, priv)
	}
	return t, nil
}

// belongsTo says whether who may see the task without further rights: a user
// sees the tasks of its tokens, a token its own.
func (t *task) belongsTo(who string) bool {
	owner, _, _ := strings.Cut(t.user, "!")
	return who == t.user || who == owner
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
	t.cancel(errInterrupted)
	return nil, nil
}

// getTasks lists the tasks of one node, those that run first.
func getTasks(c *call) (any, error) {
	all := c.srv.allowed(c.token, "/nodes/"+c.node, "Sys.Audit")
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	var active, ended []map[string]any
	for _, t := range slices.Backward(c.srv.tasks) {
		if !all && !t.belongsTo(c.token.ID) || t.node != c.node || !t.wanted(c) {
			continue
		}
		if t.ended.IsZero() {
			active = append(active, t.describe())
		} else {
			ended = append(ended, t.describe())
		}
	}
	found := slices.Concat([]map[string]any{}, active, ended)
	return counted{page(found, c), len(found)}, nil
}

// getClusterTasks lists the recent tasks of all nodes.
func getClusterTasks(c *call) (any, error) {
	all := c.srv.allowed(c.token, "/", "Sys.Audit")
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	found := []map[string]any{}
	for _, t := range slices.Backward(c.srv.tasks) {
		if (all || t.belongsTo(c.token.ID)) && len(found) < recentTasks {
			entry := t.describe()
			if t.ended.IsZero() {
				delete(entry, "status")
			}
			found = append(found, entry)
		}
	}
	return found, nil
}

// recentTasks is how many tasks a node tells the others about.
const recentTasks = 25

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
	started := int(t.started.Unix())
	user, _, _ := strings.Cut(t.user, "!")
	return (c.params["vmid"] == "" || t.id == c.params["vmid"]) &&
		(c.params["typefilter"] == "" || t.kind == c.params["typefilter"]) &&
		strings.Contains(strings.ToLower(user), strings.ToLower(c.params["userfilter"])) &&
		t.hasStatus(c) && started >= c.number("since", 0) && started <= c.number("until", math.MaxInt)
}

// hasStatus applies errors=1, which wins, or statusfilter.
func (t *task) hasStatus(c *call) bool {
	switch filter := c.params["statusfilter"]; {
	case c.flag("errors"):
		return t.result() != "ok"
	case filter != "":
		return slices.Contains(splitList(strings.ToLower(filter)), t.result())
	}
	return true
}

// result sorts an exit status: ok, warning, error, or unknown while it runs
// and when nobody knows.
func (t *task) result() string {
	switch {
	case t.ended.IsZero(), t.exit == "unexpected status":
		return "unknown"
	case t.exit == "OK":
		return "ok"
	case strings.HasPrefix(t.exit, "WARNINGS: "):
		return "warning"
	}
	return "error"
}
