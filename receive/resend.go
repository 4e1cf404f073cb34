package receive

import (
	"context"
	"errors"
	"fmt"
)

// State is an open with what is unanswered in it, as a requester that is itself
// a pair checkpoints it (with msgpack, say), so that its backup goes on with
// Resume. Cookie is a secret.
//
// A checkpoint must come before what it allows: take the State after Prepare
// and before Pending.Do. Requests numbered after the State was taken must be
// made again, the same and in the same order; then the server recognises them.
type State struct {
	Name     string        `msgpack:"name"`
	Instance string        `msgpack:"instance"`
	Opener   uint64        `msgpack:"opener"`
	Cookie   uint64        `msgpack:"cookie"`
	Depth    int           `msgpack:"depth"`
	Window   int           `msgpack:"window"`
	Next     uint64        `msgpack:"next"` // the sync ID of the next new request
	Pending  []Outstanding `msgpack:"pending"`
}

// Outstanding is a request without a reply, under its sync ID.
type Outstanding struct {
	ID     uint64 `msgpack:"id"`
	Method string `msgpack:"method"`
	Body   []byte `msgpack:"body"`
}

// State returns the open as it is now. It may be taken at any time, and shares
// nothing with the Conn.
func (c *Conn) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	st := State{
		Name: s.name, Instance: s.instance, Opener: s.opener, Cookie: s.cookie,
		Depth: s.depth, Window: s.window, Next: s.next,
	}
	for id := s.low; id < s.next; id++ {
		if k := s.find(id); k != nil {
			st.Pending = append(st.Pending, Outstanding{ID: id, Method: string(k.method), Body: append([]byte(nil), k.body...)})
		}
	}
	return st
}

// Resume goes on with an open that another process, or another Conn, had. Its
// outstanding requests wait for Reissue or Forget; they take room in the window
// until then. Options that State holds (SyncDepth, Window) are not looked at.
// ErrWrongID: the pair is a new instance and knows nothing of the open.
func Resume(ctx context.Context, st State, opts ...Option) (*Conn, error) {
	opt, err := resolve(st.Name, append(opts[:len(opts):len(opts)], SyncDepth(st.Depth), Window(st.Window)))
	if err != nil {
		return nil, err
	}
	s := newSession(st.Name, opt.depth, opt.window)
	if err := s.restore(st); err != nil {
		return nil, failed("resume "+st.Name, ErrBadRequest, No, err)
	}
	return establish(ctx, s, opt)
}

// restore takes a State over; its requests are parked.
func (s *session) restore(st State) error {
	if st.Instance == "" || st.Opener == 0 || st.Next == 0 {
		return errors.New("state without an open")
	}
	s.instance, s.opener, s.cookie = st.Instance, st.Opener, st.Cookie
	s.next, s.low = st.Next, st.Next
	for i, p := range st.Pending {
		if i == 0 {
			s.low = p.ID
		}
		if p.ID == 0 || p.ID >= st.Next || st.Next-s.low > s.span || (i > 0 && p.ID <= st.Pending[i-1].ID) {
			return fmt.Errorf("state with outstanding request %d, next is %d, window %d", p.ID, st.Next, s.span)
		}
		*s.at(p.ID) = &call{
			id: p.ID, state: callParked, park: true, sent: true, wake: make(chan struct{}, 1),
			method: []byte(p.Method), body: append([]byte(nil), p.Body...),
		}
	}
	return nil
}

// Reissue sends an outstanding request of the resumed State, under its original
// sync ID, and returns the reply: the saved one if it was applied already.
// ErrInvalidOperation: no such request, or it was reissued before.
func (c *Conn) Reissue(ctx context.Context, id uint64) ([]byte, error) {
	p, err := c.parked(id)
	if err != nil {
		return nil, err
	}
	return p.Do(ctx)
}

// Forget gives up an outstanding request that is not to be reissued. It may
// have been applied. ErrInvalidOperation as in Reissue.
func (c *Conn) Forget(id uint64) error {
	p, err := c.parked(id)
	if err != nil {
		return err
	}
	p.Drop()
	return nil
}

func (c *Conn) parked(id uint64) (*Pending, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.s.find(id)
	if k == nil || k.state != callParked {
		return nil, fmt.Errorf("cannot reissue request %d on %s: %w", id, c.s.name, ErrInvalidOperation)
	}
	return &Pending{c: c, k: k}, nil
}

// Pending is a request that has its sync ID and was not sent yet.
type Pending struct {
	c *Conn
	k *call
}

// Prepare gives a request its sync ID without sending it, so that the ID can be
// checkpointed first (Conn.State, Advanced Guardian 7-19). It waits for room
// in the window. body must not change until the request is over. Every Pending
// must end with Do or Drop.
func (c *Conn) Prepare(ctx context.Context, method string, body []byte) (*Pending, error) {
	k := &call{wake: make(chan struct{}, 1), method: []byte(method), body: body, park: true}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.s.start(k); err != nil {
		return nil, err
	}
	if err := c.await(ctx, k, callParked); err != nil {
		return nil, c.giveUp(k, err)
	}
	if k.state == callDone {
		return nil, k.err
	}
	return &Pending{c: c, k: k}, nil
}

// ID returns the sync ID.
func (p *Pending) ID() uint64 { return p.k.id }

// Do sends the request and returns its reply, like WriteRead. ErrInvalidOperation:
// it was called before, or after Drop.
func (p *Pending) Do(ctx context.Context) ([]byte, error) {
	c, k := p.c, p.k
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.state != callParked {
		return nil, c.s.failed(k, ErrInvalidOperation, No)
	}
	if c.s.end != nil {
		k.state = callDone
		return nil, c.s.failure(k, c.s.end, nil)
	}
	c.s.activate(k)
	if err := c.finish(ctx, k); err != nil {
		return nil, err
	}
	return k.takeReply(), nil
}

// Drop gives the request up. Without effect once Do was called.
func (p *Pending) Drop() {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.k.state == callParked {
		p.c.s.drop(p.k)
		p.c.tell(nil)
		p.c.push()
	}
}
