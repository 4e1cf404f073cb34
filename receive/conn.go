package receive

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// Conn is an open of a pair: a requester's session that outlives takeovers.
// All methods may be called from any goroutine; calls run concurrently, in a
// window that slides.
//
// There is no goroutine behind a Conn. One of the callers, the leader, receives
// for all, and hands the lead on when its own reply has come. Calls that are
// ready together leave in one packet.
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

// push sends what is queued, unless somebody is at it.
func (c *Conn) push() {
	if !c.sending && c.s.up && len(c.s.queue)+len(c.s.cancels) > 0 {
		c.sending = true
		c.flush()
	}
}

// flush sends until nothing is queued. Called with the lock held and sending
// set; the lock is free while the kernel works.
func (c *Conn) flush() {
	for {
		pkt := c.s.fill(c.out)
		if len(pkt) == 0 || c.link == nil {
			c.sending = false
			return
		}
		c.out = pkt
		l, epoch := c.link, c.s.epoch
		l.acquire()
		c.mu.Unlock()
		wire.Finish(pkt, epoch)
		err := l.send(pkt)
		c.mu.Lock()
		if err == sock.ErrAgain {
			go c.drain(l, pkt) // rare: the server has 200 KiB unread; a caller with a deadline cannot wait for it
			return
		}
		c.sent(l, err)
	}
}

// drain sends pkt when there is room for it, and then the rest.
func (c *Conn) drain(l *link, pkt []byte) {
	err := sock.ErrAgain
	for err == sock.ErrAgain {
		l.waitWritable()
		err = l.send(pkt)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent(l, err)
	c.flush()
}

// sent ends one use of a link for sending. After a failure the leader, who
// reads what the server still had to say, finds the end of the connection.
func (c *Conn) sent(l *link, err error) {
	if err != nil && c.link == l {
		c.s.unsent()
		l.shutdown()
	}
	l.release()
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
