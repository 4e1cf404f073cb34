package subject

import (
	"context"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// Pair is the service as it runs, and a connection to it.
type Pair struct {
	World *world.World
	Name  string
	Conn  *receive.Conn
	Addr  string // where it listens on TCP; "": it does not
}

// Protected tells whether there is a synchronised backup.
func Protected(p *registry.Page) bool {
	return p.Primary != nil && p.Backup != nil && p.Backup.Synchronised
}

// Start starts the service, waits until it is complete, and opens it.
func Start(ctx context.Context, w *world.World, name string, cfg Config) (*Pair, error) {
	return Begin(ctx, w, name, cfg.Alone, "service", cfg.args(name)...)
}

// Begin starts any service under a hidden verb, waits until it is complete, and opens it.
func Begin(ctx context.Context, w *world.World, name string, alone bool, kind string, args ...string) (t *Pair, err error) {
	p, err := w.Spawn(nil, kind, args...)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	t = &Pair{World: w, Name: name}
	var page registry.Page
	if alone {
		page, err = t.Await(ctx, "started", func(p *registry.Page) bool { return p.Primary != nil })
	} else {
		page, err = t.Await(ctx, "protected", Protected)
	}
	if err != nil {
		return nil, err
	}
	if len(page.Listen) > 0 {
		t.Addr = page.Listen[0]
	}
	t.Conn, err = t.Dial(ctx)
	return t, err
}

// Dial makes another connection.
func (t *Pair) Dial(ctx context.Context) (*receive.Conn, error) {
	return receive.Dial(ctx, t.Name, receive.RunDir(t.World.RunDir()), receive.RetryFor(retryFor))
}

// retryFor is how long a client goes on when nobody serves: a pair that is away for longer has failed.
const retryFor = 10 * time.Second

// Await waits until what the registry says of the pair fulfils a condition.
func (t *Pair) Await(ctx context.Context, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	return t.World.AwaitPage(ctx, t.Name, time.Millisecond, world.StartWithin, what, ok)
}

// Stop ends the pair as an operator would, so that profiles are written.
func (t *Pair) Stop(ctx context.Context) error {
	_ = t.Conn.Close()
	ctx, cancel := context.WithTimeout(ctx, world.StartWithin)
	defer cancel()
	return pair.Stop(ctx, t.World.RunDir(), t.Name)
}

// Member takes hold of one process of the pair.
func Member(m *registry.Member) (*proc.Process, error) {
	return proc.Open(proc.ID{PID: m.PID, Start: m.Start})
}

// Put makes one ordinary request and says who answered: a number that is another one after a change of roles.
func (t *Pair) Put() (who uint64, err error) {
	_, err = receive.Call[int](context.Background(), t.Conn, "put", Put{Key: 1, Value: make([]byte, PayloadSize)})
	return uint64(t.Conn.Epoch()), err
}

// Load brings the service's state to so many MiB.
func (t *Pair) Load(ctx context.Context, mib int) error {
	const value, each = 1 << 10, 256
	for from := uint32(0); from < uint32(mib)<<20/value; from += each {
		if _, err := receive.Call[int](ctx, t.Conn, "fill", Fill{From: from, N: each, Size: value}); err != nil {
			return err
		}
	}
	return nil
}
