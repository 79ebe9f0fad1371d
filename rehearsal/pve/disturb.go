package pve

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"time"
)

// disturbed carries a request out unless a fault has it otherwise.
func (s *Server) disturbed(c *call, method string, e *endpoint, act func() (any, error)) (any, error) {
	at := Fault{Method: method, Path: e.path, Node: cmp.Or(c.params["node"], c.entry)}
	of := func(kind FaultKind) Fault { at.Kind = kind; return at }
	if err := s.strikeNodes(of); err != nil {
		return nil, err
	}
	if _, struck := s.strike(of(DroppedCall)); struck {
		return nil, errDropped
	}
	if f, struck := s.strike(of(StatusReply)); struck {
		return nil, f.reply()
	}
	if f, struck := s.strike(of(SlowReply)); struck {
		s.pause(c.ctx, f.Delay)
	}
	_, lost := s.strike(of(LostReply))
	data, err := act()
	if lost {
		return nil, errDropped
	}
	return data, err
}

// reply is the answer of a StatusReply. From 595 on it is that of the node
// which passed the request on; 502 to 504 come from a proxy in front.
func (f Fault) reply() *failure {
	switch {
	case f.Status >= statusConnect:
		reasons := map[int]string{statusConnect: "No route to host", statusTransfer: "Connection timed out", statusRetryable: "Too many redirections"}
		return refuse(f.Status, "%s", cmp.Or(f.Text, reasons[f.Status], "Broken pipe"))
	case f.Status > 501:
		page := refuse(f.Status, "%s", cmp.Or(f.Text, http.StatusText(f.Status)))
		page.html = true
		return page
	}
	return &failure{status: f.Status, msg: cmp.Or(f.Text, "got no worker upid - start worker failed") + "\n"}
}

// cutBody is the body of an upload, which an UploadAborted ends early.
func (s *Server) cutBody(r *http.Request, entry string) io.Reader {
	f, struck := s.strike(Fault{Kind: UploadAborted, Method: r.Method, Path: store + "/upload", Node: entry})
	if !struck {
		return r.Body
	}
	return io.MultiReader(io.LimitReader(r.Body, f.Bytes), dropped{})
}

// dropped is the body of a connection that is no more.
type dropped struct{}

func (dropped) Read([]byte) (int, error) { return 0, errDropped }

type taskKey struct{}

// slowed is how long a step of the task of ctx takes, with faults and jitter;
// its error is the fault that ends the task here.
func (s *Server) slowed(ctx context.Context, d time.Duration) (time.Duration, error) {
	t, ok := ctx.Value(taskKey{}).(*task)
	if !ok {
		return d, nil
	}
	if f, struck := s.strike(t.fault(TaskFails)); struck {
		return 0, die("%s", cmp.Or(f.Text, "command 'kvm' failed: exit code 1"))
	}
	if _, struck := s.strike(t.fault(TaskDies)); struck {
		return 0, errKilled
	}
	if _, struck := s.strike(t.fault(TaskWarns)); struck {
		s.warn(t, "something is not as it should be")
	}
	if f, struck := s.strike(t.fault(TaskSlow)); struck {
		d += f.Delay
	}
	return s.jitter(d), nil
}

func (t *task) fault(kind FaultKind) Fault {
	return Fault{Kind: kind, Task: t.kind, ID: t.id, Node: t.node}
}

// jitter varies d by Config.Jitter.
func (s *Server) jitter(d time.Duration) time.Duration {
	if s.cfg.Jitter == 0 {
		return d
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(float64(d) * (1 + s.cfg.Jitter*(2*s.random.Float64()-1)))
}

// now is the servers' clock.
func (s *Server) now() time.Time {
	f, _ := s.strike(Fault{Kind: ClockSkew})
	return time.Now().Add(f.Delay)
}

// strikeNodes lets those faults of nodes strike that wait for this request,
// which is carried out although nobody may get the reply.
func (s *Server) strikeNodes(of func(FaultKind) Fault) error {
	for _, kind := range []FaultKind{ProxyRestart, CertificateRotation, NodeOffline} {
		if i := s.struck(of(kind)); i != nil {
			if err := s.strikeNode(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// strikeNode does what faults of nodes do, at once; the time that they last
// ends in the background.
func (s *Server) strikeNode(i *Injection) error {
	f := i.fault
	switch {
	case f.Kind == CertificateRotation:
		return s.RotateCertificate(f.Node)
	case f.Kind == NodeOffline:
		if f.Delay > 0 {
			defer s.later(f.Delay, func() { s.SetOffline(f.Node, false) })
		}
		return s.SetOffline(f.Node, true)
	}
	gate := &s.hosts[f.Node].gate
	gate.shut()
	s.later(cmp.Or(f.Delay, 5*time.Second), gate.open)
	return nil
}

// later does something after the scaled d, or at the end of the server.
func (s *Server) later(d time.Duration, do func()) {
	s.jobs.Go(func() {
		s.pause(context.Background(), d)
		do()
	})
}
