package receive

import (
	"context"
	"runtime"
	"sync"
)

// Conn is an open of a pair: a requester's session that outlives takeovers.
// All methods may be called from any goroutine; calls run concurrently, in a
// window that slides.
//
// There is no goroutine behind a Conn. One of the callers, the leader, receives
// for all, and hands the lead on when its own reply has come. Calls that are
// ready together leave in one packet. (A goroutine comes and goes only when a
// server does not read and the socket is full.)
type Conn struct {
	opt  options
	path string // of the socket

	mu      sync.Mutex
	s       *session
	link    *link // nil: not connected
	leading bool  // somebody receives, or connects
	sending bool  // somebody sends
	tries   int   // attempts to connect since the last reply
	lastErr error // why the last one failed
	closed  chan struct{}

	in   []byte // of the leader
	out  []byte // of the sender
	pool sync.Pool
}

func newConn(path string, s *session, opt options) *Conn {
	return &Conn{opt: opt, path: path, s: s, closed: make(chan struct{}), in: receiveBuffer()}
}

// do runs a call to its end.
func (c *Conn) do(ctx context.Context, k *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.s.start(k); err != nil {
		return err
	}
	return c.finish(ctx, k)
}

// finish sends what is queued and waits for the end of k. Called with the lock held.
func (c *Conn) finish(ctx context.Context, k *call) error {
	if err := ctx.Err(); err != nil {
		return c.giveUp(k, err)
	}
	if !c.sending && c.s.up && len(c.s.queue) > 0 {
		c.sending = true
		if c.s.busy() > 1 {
			c.yield() // others which are ready join the packet
		}
		c.flush()
	}
	if err := c.await(ctx, k, callDone); err != nil {
		return c.giveUp(k, err)
	}
	return k.err
}

// giveUp ends a call that its caller no longer waits for.
func (c *Conn) giveUp(k *call, cause error) error {
	sentinel := ErrCancelled
	if cause == context.DeadlineExceeded {
		sentinel = ErrTimeout
	}
	err := c.s.failure(k, sentinel, cause)
	c.s.drop(k)
	c.tell(k)
	c.push()
	return err
}

// await returns when k has come to the given state or further, or with the
// error of ctx. Called with the lock held.
func (c *Conn) await(ctx context.Context, k *call, state callState) error {
	for k.state < state {
		if k.leads || !c.leading {
			c.leading, k.leads = true, true
			err := c.lead(ctx, k, state)
			c.handOn(k)
			if err != nil && k.state < state {
				return err
			}
			continue
		}
		c.mu.Unlock()
		select {
		case <-k.wake:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if err := ctx.Err(); err != nil && k.state < state {
			c.handOn(k)
			return err
		}
	}
	c.handOn(k) // it may have been given the lead in the moment when it needed nothing more
	return nil
}

// handOn gives the lead, if k has it, to another call that waits, or to nobody.
func (c *Conn) handOn(k *call) {
	if !k.leads {
		return
	}
	c.leading, k.leads = false, false
	heir := c.s.heir(k)
	if heir == nil {
		return
	}
	c.leading, heir.leads = true, true
	wake(heir)
}

func wake(k *call) {
	select {
	case k.wake <- struct{}{}:
	default: // it was told already, and has not looked yet
	}
}

// tell wakes the calls that have news, except the one of the caller itself.
func (c *Conn) tell(self *call) {
	for i, k := range c.s.news {
		if k != self {
			wake(k)
		}
		c.s.news[i] = nil
	}
	c.s.news = c.s.news[:0]
}

// yield lets other goroutines run. Called with the lock held.
func (c *Conn) yield() {
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
}
