package contrast

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// pairUnderTest is a pair to which faults are done.
type pairUnderTest struct{ *subject.Pair }

// primary waits until the pair is protected and takes hold of its primary.
func (t *pairUnderTest) primary(ctx context.Context) (*proc.Process, error) {
	p, err := t.Await(ctx, "protected", func(p *registry.Page) bool {
		if subject.Protected(p) && p.Epoch == t.Conn.Epoch() {
			return true
		}
		_, _ = t.Put() // a page that is behind is published again when there are requests
		return false
	})
	if err != nil {
		return nil, err
	}
	world.Pause(ctx, 20*time.Millisecond) // what the last takeover left to do is not to be measured
	return subject.Member(p.Primary)
}

// kill kills the primary.
func (t *pairUnderTest) kill(ctx context.Context, after time.Duration) (outage, error) {
	p, err := t.primary(ctx)
	if err != nil {
		return outage{}, err
	}
	defer p.Close()
	return observe(ctx, after, t.Put, func() error { return p.Signal(unix.SIGKILL) })
}

// panics has a handler of the primary panic.
func (t *pairUnderTest) panics(ctx context.Context, after time.Duration) (outage, error) {
	p, err := t.primary(ctx)
	if err != nil {
		return outage{}, err
	}
	defer p.Close()
	return observe(ctx, after, t.Put, func() error {
		_, err := receive.Call[struct{}](context.Background(), t.Conn, subject.Panic, subject.Harm{PID: p.ID().PID})
		return err
	})
}

// switches makes a planned switch. What the client sees of that begins with the last reply before it, not with the command.
func (t *pairUnderTest) switches(ctx context.Context, after time.Duration) (outage, error) {
	p, err := t.primary(ctx)
	if err != nil {
		return outage{}, err
	}
	defer p.Close()
	o, err := observe(ctx, after, t.Put, func() error { return pair.Switch(ctx, t.World.RunDir(), t.Name) })
	o.gap = o.silence
	return o, err
}
