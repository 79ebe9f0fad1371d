package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/slipway-project/slipway/internal/hint"
)

// A Balancer runs a Config: a [Proxy] or an [Embedded].
type Balancer interface {
	// Name says which it is: "haproxy 2.6.12", "embedded".
	Name() string
	// Apply makes c what is running, or goes on as before.
	Apply(ctx context.Context, c Config) error
	// Stats tells the state of all frontends and members.
	Stats(ctx context.Context) (Stats, error)
	// Err returns why nothing is running although it should; nil when it is.
	Err() error
	// Restarts returns how often it died and was started again.
	Restarts() int
	// Logs returns the last lines that it wrote, oldest first.
	Logs() []string
	// Stop ends it and waits for its end.
	Stop(ctx context.Context) error
}

// Run starts the balancer that c.Mode asks for, whatever o.Binary is. note,
// when not empty, is one line about a choice that was made.
func Run(ctx context.Context, o Options, c Config) (b Balancer, note string, err error) {
	binary, note, err := Choose(ctx, c.Mode)
	if err != nil {
		return nil, "", err
	}
	if binary == nil {
		b, err := embedded(ctx, o, c)
		return b, note, err
	}
	o.Binary = *binary
	p, err := Start(ctx, o, c)
	if err == nil {
		return p, "", nil
	}
	if c.Mode == ModeHAProxy || ctx.Err() != nil {
		return nil, "", err
	}
	b, eerr := embedded(ctx, o, c)
	if eerr != nil {
		return nil, "", err // both want the same addresses
	}
	return b, fmt.Sprintf("haproxy does not work here, the embedded load balancer serves: %v", err), nil
}

// embedded starts one, in the place of a haproxy that an earlier run left.
func embedded(ctx context.Context, o Options, c Config) (Balancer, error) {
	if err := endLeft(ctx, filepath.Join(o.RunDir, "haproxy.cfg")); err != nil {
		return nil, err
	}
	e, err := StartEmbedded(ctx, c)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Choose returns the haproxy that mode asks for, or nil for the embedded
// balancer, with a line on why when nobody asked for that one. It is an error
// when so few files may be open that the chosen one is of no use.
func Choose(ctx context.Context, mode Mode) (*Binary, string, error) {
	binary, note, err := choose(ctx, mode)
	if err != nil {
		return nil, "", err
	}
	room := MaxConn
	if binary == nil {
		room = embeddedMaxConn
	}
	if _, err := room(); err != nil {
		return nil, "", err
	}
	return binary, note, nil
}

func choose(ctx context.Context, mode Mode) (*Binary, string, error) {
	if mode == ModeEmbedded {
		return nil, "", nil
	}
	found, err := Find(ctx)
	switch {
	case err == nil:
		return &found, "", nil
	case mode == ModeHAProxy:
		return nil, "", err
	case ctx.Err() != nil:
		return nil, "", errors.Join(context.Cause(ctx), err)
	}
	note := fmt.Sprintf("%v: the embedded load balancer serves", err)
	if advice := hint.Of(err); advice != "" {
		note += " (" + advice + ")"
	}
	return nil, note, nil
}
