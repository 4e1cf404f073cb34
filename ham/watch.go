package ham

import (
	"context"
	"errors"
	"iter"
	"time"
)

// detachWithin bounds the end of a Watch.
const detachWithin = 5 * time.Second

// Watch attaches a process, and yields what happens to it: its end (HasDied, with the Exit), and whatever else it does, or is done to
// it. With PID 0 it is an entity that is there already, or is still to come. It goes on until its user leaves it; see Follow for the
// errors. An entity that it has created is detached then.
//
//	for h, err := range c.Watch(ctx, ham.Attach{Entity: "worker", PID: pid}) {
//		if err != nil || h.What == ham.HasDied {
//			return h.Exit, err
//		}
//	}
func (c *Client) Watch(ctx context.Context, a Attach) iter.Seq2[Happening, error] {
	return func(yield func(Happening, error) bool) {
		root, err := c.Root(ctx)
		if err == nil && a.PID != 0 {
			var done func()
			if done, err = c.attachFor(ctx, a); err == nil {
				defer done()
			}
		}
		if err != nil {
			yield(Happening{}, err)
			return
		}
		for h, err := range c.Follow(ctx, root.Seq) {
			if (err != nil || h.Entity == a.Entity) && !yield(h, err) {
				return
			}
		}
	}
}

// attachFor attaches a process for as long as somebody watches it.
func (c *Client) attachFor(ctx context.Context, a Attach) (done func(), err error) {
	_, _, err = c.Entity(ctx, a.Entity)
	created := errors.Is(err, ErrNotFound)
	h, err := c.Attach(ctx, a)
	if err != nil || !created {
		return func() {}, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), detachWithin)
		defer cancel()
		if err := c.Detach(ctx, Detach{Path: h}); err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNotRunning) {
			c.opt.log.Warn("a watched process stays attached", "entity", a.Entity, "cause", err)
		}
	}, nil
}
