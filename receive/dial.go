package receive

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

const (
	defaultDepth    = 64
	defaultRetryFor = 30 * time.Second
)

type options struct {
	runDir   string
	socket   string
	depth    int
	window   int
	priority uint8
	retryFor time.Duration
	log      *slog.Logger
}

// Option changes how a Conn behaves.
type Option func(*options)

// RunDir names the run directory, instead of the one the environment names.
func RunDir(path string) Option { return func(o *options) { o.runDir = path } }

// Socket names the socket of the pair itself, instead of the one in the run directory: one at which it admits processes of other
// users.
func Socket(path string) Option { return func(o *options) { o.socket = path } }

// SyncDepth sets how many replies the server keeps for repeated requests, and
// with it how far the window may reach beyond an unanswered call. Default 64,
// at most MaxDepth. With 0 nothing is ever sent twice: a call that is under way
// when the primary is lost ends with ErrPathDown, the next goes to the new
// primary.
func SyncDepth(n int) Option { return func(o *options) { o.depth = n } }

// Window sets how many calls may be under way; further callers wait. Default
// 64, at most MaxDepth. The sync depth bounds it too, unless that is 0.
func Window(n int) Option { return func(o *options) { o.window = n } }

// Priority of this requester's calls, for a server that orders by it: higher
// goes first. Default 0.
func Priority(p uint8) Option { return func(o *options) { o.priority = p } }

// RetryFor sets how long an open or a call goes on trying when nobody serves
// the name; then it ends with ErrPathDown. Default 30 s; 0: one attempt. A
// deadline of its context may end it earlier.
func RetryFor(d time.Duration) Option { return func(o *options) { o.retryFor = d } }

// Logger is told, at debug level, of connections lost and not made. Default: nobody.
func Logger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// Dial opens the pair of that name. It waits while nobody serves it, see
// RetryFor. Errors: ErrPathDown, ErrInUse, ErrTimeout, ErrCancelled, and
// ErrBadRequest for a name or option that cannot be.
func Dial(ctx context.Context, name string, opts ...Option) (*Conn, error) {
	opt, err := resolve(name, opts)
	if err != nil {
		return nil, err
	}
	var cookie [8]byte
	_, _ = rand.Read(cookie[:]) // never fails
	s := newSession(name, opt.depth, opt.window)
	s.cookie = binary.LittleEndian.Uint64(cookie[:]) | 1 // not 0: an open that is repeated is one open
	return establish(ctx, s, opt)
}

// establish says hello and waits for the welcome.
func establish(ctx context.Context, s *session, opt options) (*Conn, error) {
	path, err := opt.path(s.name)
	if err != nil {
		return nil, failed("open "+s.name, ErrBadRequest, No, err)
	}
	s.priority, s.pid = opt.priority, os.Getpid()
	c := newConn(path, s, opt)
	k := c.get("")
	c.mu.Lock()
	s.open(k)
	err = c.finish(ctx, k)
	c.mu.Unlock()
	c.put(k)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// path returns where the pair listens.
func (o *options) path(name string) (string, error) {
	if o.socket != "" {
		return o.socket, nil
	}
	return registry.SocketPath(o.runDir, name)
}

func resolve(name string, opts []Option) (options, error) {
	opt := options{depth: defaultDepth, window: defaultDepth, retryFor: defaultRetryFor}
	for _, set := range opts {
		set(&opt)
	}
	if opt.depth < 0 || opt.depth > MaxDepth || opt.window < 1 || opt.window > MaxDepth {
		cause := fmt.Errorf("sync depth %d and window %d, the limit is %d", opt.depth, opt.window, MaxDepth)
		return opt, failed("open "+name, ErrBadRequest, No, cause)
	}
	if opt.runDir == "" && opt.socket == "" {
		dir, err := registry.Root()
		if err != nil {
			return opt, failed("open "+name, ErrBadRequest, No, err)
		}
		opt.runDir = dir
	}
	return opt, nil
}

// Close ends the open: the server forgets it, and calls under way fail with
// ErrNotOpen. It may be called again.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return nil
	default:
	}
	close(c.closed)
	if l := c.link; l != nil {
		if pkt, err := wire.Pack(nil, c.s.epoch, &wire.Frame{Kind: wire.KindBye}); err == nil && c.s.opener != 0 {
			_ = l.send(pkt) // if it does not fit, the end of the connection says it later
		}
	}
	c.s.finish(ErrNotOpen, "", nil)
	c.disconnect(ErrNotOpen)
	c.tell(nil)
	return nil
}

// Name returns the name of the pair.
func (c *Conn) Name() string { return c.s.name }

// Instance returns the instance of the pair that was opened.
func (c *Conn) Instance() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.instance
}

// Epoch returns the latest epoch heard of: it grows by one at every takeover or switch.
func (c *Conn) Epoch() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.epoch
}
