package ham

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/receive"
)

// Follow yields what has happened after the happening with that number, as far as it is kept, and what happens from now on; 0 is all
// there is, and Root().Seq only what is to come. Neither HAM's takeovers nor its restart leave anything out or repeat anything.
//
// Two errors are news, after which it goes on: ErrMissed, when happenings were forgotten before they could be told, and
// ErrNewHAM, when HAM has begun anew and counts from the beginning. Any other one is the last: that of ctx, or ErrNoHAM.
func (c *Client) Follow(ctx context.Context, after uint64) iter.Seq2[Happening, error] {
	return func(yield func(Happening, error) bool) {
		f := follower{c: c, after: after, yield: yield}
		for p := (patience{}); ; {
			err := f.once(ctx)
			switch {
			case f.left:
				return
			case errors.Is(err, ErrNewHAM):
				if !yield(Happening{}, err) {
					return
				}
			case !passes(err):
				yield(Happening{}, fmt.Errorf("cannot follow HAM: %w", err))
				return
			}
			if f.heard {
				p, f.heard = patience{}, false
			}
			if !p.wait(ctx) {
				yield(Happening{}, fmt.Errorf("cannot follow HAM: %w", errors.Join(context.Cause(ctx), err)))
				return
			}
		}
	}
}

// follower is one Follow.
type follower struct {
	c       *Client
	after   uint64 // what has been told
	created int64  // of the HAM that told it; 0: none yet
	heard   bool   // the last connection came to something
	left    bool   // its user has had enough
	yield   func(Happening, error) bool
}

// once follows as long as one connection lasts.
func (f *follower) once(ctx context.Context) error {
	known := false
	var strange error
	err := f.c.read(ctx, talk.Query{Op: talk.OpHistory, After: f.after, Follow: true}, func(l talk.Line) bool {
		if !known {
			// HAM is asked after the connection was made: so it is the one that answers here, or this connection is about to end.
			if strange = f.same(ctx); strange != nil {
				return false
			}
			known, f.heard = true, true
		}
		f.left = !f.hear(l)
		return !f.left
	})
	if err == nil {
		err = talk.ErrEnded // to follow has no end
	}
	if strange != nil {
		err = strange
	}
	return err
}

func (f *follower) hear(l talk.Line) (more bool) {
	if l.Missed && !f.yield(Happening{}, ErrMissed) {
		return false
	}
	h := l.Happening
	if h == nil || h.Seq <= f.after {
		return true
	}
	f.after = h.Seq
	return f.yield(*h, nil)
}

// same refuses a HAM that is not the one which has told what was told: its numbers mean nothing to this one.
func (f *follower) same(ctx context.Context) error {
	root, err := f.c.Root(ctx)
	if err != nil {
		return err
	}
	anew := f.created != 0 && f.created != root.Created || f.after > root.Seq
	f.created = root.Created
	if anew {
		f.after = 0
		return ErrNewHAM
	}
	return nil
}

// Notified yields what actions tell this client: those whose Notify has its ID. What is told while nobody listens is not kept: the
// action fails. A message may come twice, with the same Cause.Seq, when HAM's guardian takes over. Its only error is the last: that of
// ctx, ErrNewHAM, which means that those actions are gone, or ErrNoHAM.
func (c *Client) Notified(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		c.mu.Lock()
		conn, id := c.conn, c.id
		c.mu.Unlock()
		for p := (patience{}); ; {
			left := false
			err := c.told(ctx, id, func(m Message) bool {
				p = patience{}
				left = !yield(m, nil)
				return !left
			})
			if left {
				return
			}
			if passes(err) && p.wait(ctx) {
				if err = c.knows(ctx, conn); err == nil {
					continue
				}
			}
			yield(Message{}, fmt.Errorf("cannot hear what actions tell: %w", errors.Join(context.Cause(ctx), err)))
			return
		}
	}
}

// told passes on what is told to a client as long as one connection lasts.
func (c *Client) told(ctx context.Context, id uint64, hear func(Message) bool) error {
	var nonsense error
	q := talk.Query{Op: talk.OpHistory, After: math.MaxUint64, Follow: true, Client: id} // after all that can happen
	err := c.read(ctx, q, func(l talk.Line) bool {
		if l.Told == nil {
			return true
		}
		var m Message
		if nonsense = json.Unmarshal(l.Told, &m); nonsense != nil {
			return false
		}
		return hear(m)
	})
	if nonsense != nil {
		return fmt.Errorf("%w: %w", errNonsense, nonsense)
	}
	if err == nil {
		err = talk.ErrEnded
	}
	return err
}

// knows makes sure that HAM knows the open that we had.
func (c *Client) knows(ctx context.Context, had *receive.Conn) error {
	now, err := c.ping(ctx)
	if err == nil && now != had {
		err = ErrNewHAM
	}
	return err
}
