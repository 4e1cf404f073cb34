package hands

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// Config holds what can be chosen. The zero value is complete.
type Config struct {
	// Dir is a private directory for what has a name in the file system: output pipes, notification sockets. Both halves of HAM
	// use the same. Default: a temporary one, which goes at Close.
	Dir string
	// Pairs is the run directory in which process pairs are looked for. Default: that of package pair.
	Pairs string
	// Held is what the follower in this process held when it was the other half of HAM; nil: nothing.
	Held *Follower
	// Line writes a line to the connection of a client. nil: there are no clients, and telling one is an error.
	Line func(client uint64, line []byte) error
}

// Hands perform effects.
type Hands struct {
	cfg     Config
	log     *slog.Logger
	post    func(core.Event)
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	tempDir string
	http    *http.Client

	watcher  *watcher
	ears     *loop // notification sockets and followers
	streams  *streams
	held     *held
	beats    *beats
	samples  *samples
	pairs    *pairs
	lanes    lanes
	ops      ops
	wake     alarm
	unlogged atomic.Int64  // lines that wait for the log
	forks    chan struct{} // bounds how many processes are being started at once
	births   sync.Once     // of what a HAM before this one had begun to start

	mu       sync.Mutex
	closed   bool
	entities map[string]*entity
	running  sync.WaitGroup // goroutines

	posting sync.RWMutex // post against Close
	silent  bool
}

// maxForks bounds how many processes are being started at once: the kernel does one at a time anyway.
const maxForks = 8

// New returns hands that hold nothing yet. See Config.New.
func New(log *slog.Logger, post func(core.Event)) (*Hands, error) { return Config{}.New(log, post) }

// New returns hands that hold nothing yet but what the Config says. They call post, from any goroutine, for every event; it must
// not block, nor call Close. Lines of programs go to the log from goroutines of their own, so a log that blocks holds up no more than
// those programs.
func (c Config) New(log *slog.Logger, post func(core.Event)) (*Hands, error) {
	h := &Hands{cfg: c, log: log, post: post, entities: map[string]*entity{}, forks: make(chan struct{}, maxForks)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if err := h.open(); err != nil {
		h.Close()
		return nil, fmt.Errorf("cannot set up: %w", err)
	}
	return h, nil
}

func (h *Hands) open() (err error) {
	if h.cfg.Dir == "" {
		if h.tempDir, err = os.MkdirTemp("", "tandem-ham-"); err != nil {
			return err
		}
		h.cfg.Dir = h.tempDir
	}
	if h.cfg.Dir, err = filepath.Abs(h.cfg.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(h.cfg.Dir, 0o700); err != nil {
		return err
	}
	if h.watcher, err = newWatcher(); err != nil {
		return err
	}
	if h.ears, err = newLoop(); err != nil {
		return err
	}
	h.http = newHTTPClient()
	h.lanes.h, h.ops.h, h.wake.h = h, h, h
	h.streams = &streams{h: h, all: map[place]*stream{}}
	h.beats = newBeats(h)
	h.samples = newSamples(h)
	h.pairs = newPairs(h)
	if h.held, err = newHeld(h.ears, h.cfg.Dir, h.cfg.Held.take()); err != nil {
		return err
	}
	h.streams.resume()
	return nil
}

// Do performs an effect. It never blocks: outcomes are posted. Effects on one entity are performed in the order in which they
// are given. WakeAt is performed too; Reply, Happened and ShutDown are not the business of hands, and ignored.
func (h *Hands) Do(e core.Effect) {
	switch e := e.(type) {
	case core.Spawn:
		h.lanes.do(e.Entity, func() { h.entity(e.Entity).spawn(e) })
	case core.Watch:
		h.lanes.do(e.Entity, func() { h.entity(e.Entity).watch(e) })
	case core.Unwatch:
		h.lanes.do(e.Entity, func() { h.entity(e.Entity).unwatch() })
	case core.Forget:
		h.lanes.do(e.Entity, func() { h.entity(e.Entity).forget() })
	case core.WatchPair:
		h.lanes.do(e.Entity, func() { h.pairs.watch(e.Entity, e.Pair) })
	case core.WatchBeats:
		h.lanes.do(e.Entity, func() { h.beats.watch(e) })
	case core.UnwatchBeats:
		h.lanes.do(e.Entity, func() { h.beats.unwatch(e.Entity) })
	case core.Sample:
		h.lanes.do(e.Entity, func() { h.samples.set(e) })
	case core.RunCommand:
		h.ops.start(e.ID, func(o *op) { h.runCommand(o, e) })
	case core.Await:
		h.ops.start(e.ID, func(o *op) { o.done(h.await(o.ctx, e), nil) })
	case core.Tell:
		h.ops.start(e.ID, func(o *op) { o.done(h.tell(o.ctx, e), nil) })
	case core.SendSignal:
		h.ops.start(e.ID, func(o *op) { o.done(h.sendSignal(e), nil) })
	case core.End:
		h.ops.start(e.ID, func(o *op) { o.done(h.end(o.ctx, e), nil) })
	case core.Cancel:
		h.ops.cancel(e.ID)
	case core.WriteLog:
		h.say(slog.LevelInfo, e.Text, "path", e.Path.String(), "level", e.Level)
	case core.WakeAt:
		h.wake.at(e.At)
	}
}

// Close lets go of everything and returns when nothing is under way any more. No event is posted after it. Programs go on, and
// so do commands: whoever performs the effects next finds them again. Children of this process are still reaped as they end.
func (h *Hands) Close() {
	h.mu.Lock()
	again := h.closed
	h.closed = true
	entities := h.entities
	h.entities = map[string]*entity{}
	h.mu.Unlock()
	if again {
		return
	}
	h.posting.Lock()
	h.silent = true
	h.posting.Unlock()
	h.cancel()
	h.wake.stop()
	h.settle()
	h.lanes.ended()
	if h.pairs != nil {
		h.pairs.close()
	}
	for _, e := range entities {
		e.release()
	}
	if h.watcher != nil {
		h.watcher.close()
	}
	if h.ears != nil {
		h.ears.close()
	}
	if h.streams != nil {
		h.streams.close()
	}
	if h.held != nil {
		h.held.close()
	}
	if h.beats != nil {
		h.beats.close()
	}
	if h.tempDir != "" {
		_ = os.RemoveAll(h.tempDir)
	}
}

// go_ runs f in a goroutine that Close waits for. It reports whether it does: not after Close.
func (h *Hands) go_(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.running.Go(f)
	return true
}

// event posts an event, with the time and the randomness that it needs, unless the hands are closed.
func (h *Hands) event(e core.Event) {
	h.posting.RLock()
	defer h.posting.RUnlock()
	if h.silent {
		return
	}
	e.At, e.Wall, e.Seed = monotonic(), time.Now().UnixNano(), rand.Uint64()
	h.post(e)
}

// monotonic is the time that both halves of HAM read alike.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail: the clock exists, and so does ts
	return time.Duration(ts.Nano())
}

// closePatience is what Close gives to what cannot be cut short: a log that blocks, a file system that hangs. It is left behind then.
const closePatience = 2 * time.Second

// settle waits for the goroutines.
func (h *Hands) settle() {
	done := make(chan struct{})
	go func() {
		h.running.Wait()
		close(done)
	}()
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// logLane keeps the lines that HAM writes in order. It is no name of an entity.
const logLane = "/log"

// maxLog bounds the lines that wait for a log that blocks; more are dropped.
const maxLog = 1000

// say writes a line to the log. It never blocks.
func (h *Hands) say(level slog.Level, text string, args ...any) {
	if h.unlogged.Add(1) > maxLog {
		h.unlogged.Add(-1)
		return
	}
	h.lanes.do(logLane, func() {
		h.log.Log(context.Background(), level, text, args...)
		h.unlogged.Add(-1)
	})
}
