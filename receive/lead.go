package receive

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

const (
	tick     = 20 * time.Millisecond // how often a leader looks at the time when nobody serves
	greetFor = time.Second           // how long a connection may stay without a welcome, even with RetryFor(0)
)

var (
	errNoAnswer = errors.New("no answer to the hello")
	errBacklog  = errors.New("connections are not accepted")
)

// pause is how long to wait before the given attempt to connect.
func pause(try int) time.Duration {
	steps := [...]time.Duration{0, 1, 2, 5, 10, 20, 50, 100}
	return steps[min(try, len(steps)-1)] * time.Millisecond
}

// lead receives for everybody until k has come to the given state.
func (c *Conn) lead(ctx context.Context, k *call, state callState) error {
	for k.state < state {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.link == nil {
			if c.connect(ctx); c.link == nil {
				c.s.expire(time.Now(), c.opt.retryFor, c.lastErr)
				c.tell(k)
			}
			continue
		}
		if c.s.busy() > 1 {
			c.yield() // the woken first, so that they need not wait for this thread to block
			if k.state >= state {
				return nil
			}
		}
		c.receive(ctx, k)
	}
	return nil
}

// receive waits for one packet and takes it in. It returns early when ctx ends
// or the connection is interrupted.
func (c *Conn) receive(ctx context.Context, k *call) {
	l, up := c.link, c.s.up
	if l == nil {
		return
	}
	l.acquire()
	c.mu.Unlock()
	n, err := l.receive(c.in)
	if err == sock.ErrAgain {
		c.wait(ctx, l, up)
	}
	c.mu.Lock()
	l.release()
	switch {
	case c.link != l: // closed meanwhile
	case err == nil:
		c.dispatch(c.in[:n], k)
	case err != sock.ErrAgain:
		c.disconnect(err)
	case !up:
		c.s.expire(time.Now(), max(c.opt.retryFor, greetFor), errNoAnswer)
	}
	c.tell(k)
}

// wait lets the leader sleep until there is something to receive or to do.
func (c *Conn) wait(ctx context.Context, l *link, up bool) {
	timeout := time.Duration(-1)
	if !up {
		timeout = tick
	}
	if ctx.Done() == nil {
		l.wait(timeout)
		return
	}
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.link == l {
			l.interrupt()
		}
	})
	l.wait(timeout)
	stop()
}

// dispatch takes a packet in and does what follows from it.
func (c *Conn) dispatch(b []byte, k *call) {
	p, err := wire.Parse(b)
	if err == nil {
		err = c.s.packet(p)
	}
	if err != nil {
		c.s.finish(ErrBadRequest, "the server does not speak our language", err)
		c.disconnect(err)
		return
	}
	if c.s.progress {
		c.s.progress, c.tries = false, 0
	}
	c.tell(k)
	switch {
	case c.s.end != nil:
		c.disconnect(c.s.end)
	case c.s.redial:
		c.disconnect(ErrOwnership)
		c.s.expire(time.Now(), c.opt.retryFor, ErrOwnership)
	case c.s.greet:
		c.s.greet = false
		c.greet()
	default:
		c.push()
	}
}

// connect makes one attempt to reach the server and says hello; the answer is
// received like everything else. Called with the lock held by the leader.
func (c *Conn) connect(ctx context.Context) {
	delay := pause(c.tries)
	c.tries++
	c.mu.Unlock()
	l, err := c.dial(ctx, delay)
	c.mu.Lock()
	switch {
	case err != nil && ctx.Err() != nil: // says nothing about the server
	case err != nil:
		c.lastErr = err
		c.log("cannot connect", err)
	case c.s.end != nil:
		l.release()
	default:
		c.link = l
		c.greet()
	}
}

func (c *Conn) dial(ctx context.Context, delay time.Duration) (*link, error) {
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.closed:
			return nil, ErrNotOpen
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tick) // a full backlog, say: look at the time now and then
	defer cancel()
	fd, err := sock.Dial(ctx, c.path)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errBacklog
	}
	if err != nil {
		return nil, err
	}
	return newLink(fd)
}

// greet says hello. A failure shows when the answer is received.
func (c *Conn) greet() {
	body, err := wire.Marshal(c.s.hello())
	if err == nil {
		var pkt []byte
		if pkt, err = wire.Pack(nil, c.s.epoch, &wire.Frame{Kind: wire.KindHello, Body: body}); err == nil {
			err = c.link.send(pkt)
		}
	}
	if err != nil {
		c.link.shutdown()
	}
}

// disconnect gives up the connection; the leader makes the next one.
func (c *Conn) disconnect(err error) {
	if c.link == nil {
		return
	}
	c.log("connection lost", err)
	c.lastErr = err
	c.link.shutdown()
	c.link.release()
	c.link = nil
	c.s.lost()
}

func (c *Conn) log(text string, err error) {
	if c.opt.log != nil {
		c.opt.log.LogAttrs(context.Background(), slog.LevelDebug, text, slog.String("pair", c.s.name), slog.Any("err", err))
	}
}
