package ham

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/receive"
)

// dialWithin bounds a Dial to a HAM that is there: it may be in the middle of a takeover.
const dialWithin = 5 * time.Second

type options struct {
	runDir string
	door   string
	log    *slog.Logger
}

// Option changes where a client finds HAM, and whom it tells.
type Option func(*options)

// RunDir names the run directory of HAM, instead of the one that the environment names (see package pair).
func RunDir(dir string) Option { return func(o *options) { o.runDir = dir } }

// Door names the directory in which HAM has its sockets for other users; it takes the place of the run directory.
func Door(dir string) Option { return func(o *options) { o.door = dir } }

// Logger is told when HAM is lost and found again. Default: nobody.
func Logger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// Client is a connection to HAM that outlives HAM's takeovers, and its restart. Its methods may be called from any goroutine.
type Client struct {
	opt  options
	turn chan struct{} // held by who dials

	mu     sync.Mutex
	conn   *receive.Conn
	id     uint64 // of the open, in HAM's words
	closed bool
	words  *words // nil: none needed yet
	selves map[*Self]struct{}
	keeper *keeper // nil: nobody needs one
}

// Dial connects to HAM. The error is ErrNoHAM, at once, if none runs.
func Dial(ctx context.Context, opts ...Option) (*Client, error) {
	c := &Client{turn: make(chan struct{}, 1), selves: map[*Self]struct{}{}, opt: options{log: slog.New(slog.DiscardHandler)}}
	for _, set := range opts {
		set(&c.opt)
	}
	err := c.opt.locate()
	if err == nil {
		err = c.redial(ctx, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot reach HAM: %w", err)
	}
	return c, nil
}

// locate completes the options.
func (o *options) locate() (err error) {
	if o.runDir == "" && o.door == "" {
		o.runDir, err = registry.Root()
	}
	return err
}

// runs looks whether there can be a HAM, so that nobody waits for one that was never started.
func (o *options) runs() error {
	if o.door != "" { // other users cannot see more than that there was one
		if _, err := os.Stat(filepath.Join(o.door, talk.DoorSocket)); errors.Is(err, fs.ErrNotExist) {
			return ErrNoHAM
		}
		return nil
	}
	page, err := registry.Read(o.runDir, talk.Pair)
	if errors.Is(err, registry.ErrNoPair) {
		return ErrNoHAM
	}
	for _, m := range []*registry.Member{page.Primary, page.Backup} {
		if err == nil && m != nil && (proc.ID{PID: m.PID, Start: m.Start}).Alive() {
			return nil
		}
	}
	return errors.Join(ErrNoHAM, err)
}

// readPath is where HAM can be read.
func (o *options) readPath() string {
	if o.door != "" {
		return filepath.Join(o.door, talk.ReadSocket)
	}
	return filepath.Join(o.runDir, talk.Pair, talk.ReadSocket)
}

// redial takes the place of an open that HAM does not know any more. When several do it at a time, the first does it for all.
func (c *Client) redial(ctx context.Context, old *receive.Conn) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if conn, err := c.current(); err != nil || conn != old {
		return err
	}
	conn, a, err := c.opt.open(ctx)
	again := patience{}
	for old != nil && (errors.Is(err, ErrNoHAM) || over(err)) && again.waitFor(ctx, dialWithin) { // it was there, and is being started again
		conn, a, err = c.opt.open(ctx)
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return ErrClosed
	}
	if old != nil {
		_ = old.Close()
		c.opt.log.Info("HAM was started anew", "instance", conn.Instance())
	}
	c.conn, c.id = conn, a.Client
	return nil
}

// open makes a new open, of which HAM is known to know.
func (o *options) open(ctx context.Context) (*receive.Conn, talk.Answer, error) {
	if err := o.runs(); err != nil {
		return nil, talk.Answer{}, err
	}
	conn, err := o.dial(ctx)
	if err != nil {
		return nil, talk.Answer{}, err
	}
	a, err := talk.Ask(ctx, conn, harmless())
	if err != nil {
		_ = conn.Close()
	}
	return conn, a, err
}

func (o *options) dial(ctx context.Context) (*receive.Conn, error) {
	at := receive.RunDir(o.runDir)
	if o.door != "" {
		at = receive.Socket(filepath.Join(o.door, talk.DoorSocket))
	}
	late, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	conn, err := receive.Dial(late, talk.Pair, at, receive.Logger(o.log))
	if err != nil && late.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %w", ErrNoHAM, err)
	}
	return conn, err
}

// harmless is a request that changes nothing and is granted to everybody.
func harmless() Request { return Request{Control: &Control{Verb: VerbosityGet}} }

// ping makes sure that HAM knows our open, and returns it: another one if there is a new HAM.
func (c *Client) ping(ctx context.Context) (*receive.Conn, error) {
	_, conn, err := c.askVia(ctx, "reach HAM", harmless())
	return conn, err
}

// current returns the open that requests use.
func (c *Client) current() (*receive.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	return c.conn, nil
}

// ID returns the number by which HAM knows this client: an action with Notify{Client: ID()} tells it. It changes when HAM is
// started anew (ErrNewHAM), not with a takeover.
func (c *Client) ID() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// Close ends the connection. What has attached itself through it is not watched any more once HAM has noticed; Detach first if that is
// to be no death.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	conn, k := c.conn, c.keeper
	c.mu.Unlock()
	k.stop()
	return conn.Close()
}
