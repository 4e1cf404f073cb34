package hands

import (
	"context"
	"sync"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// op is an effect with an ID that is being performed.
type op struct {
	ops *ops
	id  uint64
	ctx context.Context // ends when the op is cancelled or the hands are closed
	end context.CancelFunc

	mu        sync.Mutex
	cancelled bool // nobody waits for the outcome
	over      bool // it has been told
}

// ops are all of them.
type ops struct {
	h   *Hands
	mu  sync.Mutex
	all map[uint64]*op
}

// start performs an effect in a goroutine of its own. f calls done once, unless it finds the context at its end.
func (os *ops) start(id uint64, f func(*op)) {
	o := &op{ops: os, id: id}
	o.ctx, o.end = context.WithCancel(os.h.ctx)
	os.mu.Lock()
	if os.all == nil {
		os.all = map[uint64]*op{}
	}
	os.all[id] = o
	os.mu.Unlock()
	if !os.h.go_(func() {
		defer os.forget(o)
		f(o)
	}) {
		os.forget(o)
	}
}

// cancel ends an effect whose outcome nobody waits for any more.
func (os *ops) cancel(id uint64) {
	os.mu.Lock()
	o := os.all[id]
	os.mu.Unlock()
	if o == nil {
		return
	}
	o.mu.Lock()
	o.cancelled = true
	o.mu.Unlock()
	o.end()
}

func (os *ops) forget(o *op) {
	o.end()
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.all[o.id] == o {
		delete(os.all, o.id)
	}
}

// done tells the outcome, the first time that it is called. Nothing is told of an effect that was cut short: by Cancel because
// nobody waits, by Close because it is still to be done, by others.
func (o *op) done(err error, exit *core.Exit) {
	o.mu.Lock()
	quiet := o.over || o.cancelled || o.ops.h.ctx.Err() != nil
	o.over = true
	o.mu.Unlock()
	if quiet {
		return
	}
	d := &core.Done{ID: o.id, Exit: exit}
	if err != nil {
		d.Err = err.Error()
	}
	o.ops.h.event(core.Event{Done: d})
}

func (o *op) wasCancelled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cancelled
}
