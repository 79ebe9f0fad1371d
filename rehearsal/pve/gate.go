package pve

import (
	"net"
	"sync"
)

// A gate is the port of one node's pveproxy. While it is shut, its connections
// are cut and new ones refused.
type gate struct {
	mu        sync.Mutex
	closed    chan struct{} // nil while the gate is open; closed when it opens again
	listeners map[*listener]bool
	conns     map[*conn]bool
}

// shut cuts all connections and refuses new ones until open.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
		for l := range g.listeners {
			stopListening(l.Listener)
		}
	}
	g.cutLocked()
}

// open lets connections in again.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		return
	}
	for l := range g.listeners {
		listenAgain(l.Listener)
	}
	close(g.closed)
	g.closed = nil
}

// cut ends all connections without closing them properly.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cutLocked()
}

func (g *gate) cutLocked() {
	for c := range g.conns {
		reset(c.Conn)
		delete(g.conns, c)
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// waiting is the channel that ends with the gate's being shut, nil when it is
// open.
func (g *gate) waiting() chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// admit keeps a new connection in mind; it reports false, with the
// connection cut, when the gate is shut.
func (g *gate) admit(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		reset(c.Conn)
		return false
	}
	if g.conns == nil {
		g.conns = map[*conn]bool{}
	}
	g.conns[c] = true
	return true
}

func (g *gate) forget(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *gate) add(l *listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listeners == nil {
		g.listeners = map[*listener]bool{}
	}
	g.listeners[l] = true
	if g.closed != nil {
		stopListening(l.Listener)
	}
}

func (g *gate) remove(l *listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.listeners, l)
}
