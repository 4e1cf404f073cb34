package ham

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/1fb4ed1c/tandem/ham/hands/beat"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/receive"
)

// Self is this process as an entity. It stays attached until Detach, Close of its client, or its end: when HAM was started
// anew it attaches itself again, and reports its last state again.
type Self struct {
	c      *Client
	attach Attach
	words  *words
	word   atomic.Pointer[beat.Word] // nil: detached
	handle atomic.Pointer[Handle]

	mu    sync.Mutex    // held while HAM is asked
	conn  *receive.Conn // over which it is attached
	state *int64        // that it reported last
}

// words keeps the heartbeat words of a process in memory for as long as anybody could beat: to beat after a Detach is harmless.
type words struct{ page *beat.Page }

func newWords() (*words, error) {
	page, err := beat.New()
	if err != nil {
		return nil, err
	}
	w := &words{page}
	runtime.AddCleanup(w, func(p *beat.Page) { _ = p.Close() }, page)
	return w, nil
}

// AttachSelf attaches this process as a.Entity, which is created if need be. PID, Start and Self are filled in. A heartbeat that it
// promises (a.Heartbeat, or that of the entity's settings) is due from now on: see Beat. When the process ends without a
// Detach, it has died. The errors are those of Attach.
func (c *Client) AttachSelf(ctx context.Context, a Attach) (*Self, error) {
	id, err := proc.Self()
	if err != nil {
		return nil, fmt.Errorf("cannot attach this process as %s: %w", a.Entity, err)
	}
	a.Self, a.PID, a.Start = true, id.PID, id.Start
	s := &Self{c: c, attach: a}
	if err := s.register(); err != nil {
		return nil, fmt.Errorf("cannot attach this process as %s: %w", a.Entity, err)
	}
	if err := s.renew(ctx, nil); err != nil {
		s.unregister()
		return nil, err
	}
	return s, nil
}

// register gives s a heartbeat word, which HAM looks for as soon as s is attached, and somebody who keeps it attached.
func (s *Self) register() (err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.words == nil {
		if c.words, err = newWords(); err != nil {
			return err
		}
	}
	w, err := c.words.page.Word(s.attach.Entity)
	if err != nil {
		return err
	}
	s.words = c.words
	s.word.Store(w)
	c.selves[s] = struct{}{}
	if c.keeper == nil {
		c.keeper = newKeeper(c)
	}
	return nil
}

// unregister is the reverse. It reports whether it had not been done before.
func (s *Self) unregister() bool {
	w := s.word.Swap(nil)
	if w == nil {
		return false
	}
	w.Close()
	c := s.c
	c.mu.Lock()
	delete(c.selves, s)
	var idle *keeper
	if len(c.selves) == 0 {
		idle, c.keeper = c.keeper, nil
	}
	c.mu.Unlock()
	idle.stop()
	return true
}

// renew attaches s, unless it is attached over this open.
func (s *Self) renew(ctx context.Context, over *receive.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && s.conn == over || s.word.Load() == nil {
		return nil
	}
	again := s.conn != nil
	answer, conn, err := s.c.askVia(ctx, "attach this process as "+s.attach.Entity, Request{Attach: &s.attach})
	if err != nil {
		return err
	}
	s.handle.Store(&answer.Handle)
	s.conn = conn
	if again && s.state != nil {
		return s.c.ReportState(ctx, ReportState{Entity: answer.Handle, State: *s.state})
	}
	return nil
}

// Beat says that this process is well: it costs one atomic addition. Call it where work gets done, at least once in each period.
// After Detach it does nothing.
func (s *Self) Beat() {
	if w := s.word.Load(); w != nil {
		w.Beat()
	}
	runtime.KeepAlive(s) // and so its words, until it has beaten
}

// Handle returns the handle of the entity.
func (s *Self) Handle() Handle { return *s.handle.Load() }

// ReportState says which state this process has entered.
func (s *Self) ReportState(ctx context.Context, state int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.c.ReportState(ctx, ReportState{Entity: s.Handle(), State: state}); err != nil {
		return err
	}
	s.state = &state
	return nil
}

// Raise raises a condition of this entity.
func (s *Self) Raise(ctx context.Context, kind, class, severity int64) error {
	return s.c.Raise(ctx, Raise{Entity: s.attach.Entity, Type: kind, Class: class, Severity: severity})
}

// Detach ends the watch; what follows is no death. Whatever the error, s does not attach itself again. The second Detach does
// nothing.
func (s *Self) Detach(ctx context.Context) error {
	if !s.unregister() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.c.Detach(ctx, Detach{Path: s.Handle()})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotRunning) {
		return nil // somebody else did
	}
	return err
}
