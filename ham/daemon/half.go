package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/hands"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

const (
	// A quarter bounds what one event may change: some hundred records. Each half keeps one more log at hand, for the pair that it
	// may have to found.
	logSize   = 8 << 20
	hangAfter = 2 * time.Second // to begin the journal of 10,000 entities anew takes a part of that
)

// half is one of the two processes that HAM is: primary or guardian. Everything but what is said to be otherwise belongs to the
// loop of the pair.
type half struct {
	cfg  HalfConfig
	root string // run directory
	dir  string // HAM's own in there
	log  *slog.Logger
	stop context.CancelFunc // ends the whole pair

	svc    *pair.Service
	rec    *records
	events *pair.Input[core.Event]
	calls  *pair.Input[func(c *pair.Call)] // something to do with the records or the machine, on the loop
	groups groups

	// Of the primary only.
	machine *core.Machine
	hands   *hands.Hands
	journal *journal
	feed    *feed
	reader  *reader
	self    *selfWatch
	at      time.Duration // of the last event

	over bool // everything has been stopped: nothing more is begun

	follower *hands.Follower // of the guardian: keeps what the hands hold
}

// HalfConfig says how a half of HAM runs. Both halves have the same.
type HalfConfig struct {
	RunDir  string           `json:"run_dir,omitempty"` // "": as package pair
	Door    string           `json:"door,omitempty"`    // directory of the sockets for other users; "": none
	Quiet   bool             `json:"quiet,omitempty"`   // of HAM's own life only warnings are logged
	Profile string           `json:"profile,omitempty"` // directory for a processor profile of each half that ends by itself; "": none
	Logger  *slog.Logger     `json:"-"`                 // nil: slog.Default()
	AtPoint func(pair.Point) `json:"-"`                 // for tests: see pair.Config
}

// Run is one half of HAM, until HAM is stopped or this half is not needed any more. A process that runs it must have called
// [hands.Exec] first.
func (c HalfConfig) Run(ctx context.Context) error {
	h, err := c.new()
	if err != nil {
		return fmt.Errorf("cannot run HAM: %w", err)
	}
	ctx, h.stop = context.WithCancel(ctx)
	defer h.stop()
	h.follower = hands.Follow(h.handsDir())
	err = h.svc.Run(ctx)
	h.leave()
	h.follower.Close()
	return err
}

func (c HalfConfig) new() (h *half, err error) {
	h = &half{cfg: c, log: c.Logger}
	if h.log == nil {
		h.log = slog.Default()
	}
	if h.root = c.RunDir; h.root == "" {
		if h.root, err = registry.Root(); err != nil {
			return nil, err
		}
	}
	h.dir = filepath.Join(h.root, talk.Pair)
	cfg := pair.Config{Dir: h.root, LogSize: logSize, HangAfter: hangAfter, OwnSignals: true, Logger: c.pairLog(h.log), AtPoint: c.AtPoint}
	h.svc = cfg.New(talk.Pair)
	h.rec = newRecords(h.svc)
	h.events = pair.NewInput(h.svc, "event", h.event)
	h.calls = pair.NewInput(h.svc, "call", func(c *pair.Call, f func(c *pair.Call)) error { f(c); return nil })
	pair.Handle(h.svc, talk.MethodAsk, h.ask)
	pair.Handle(h.svc, talk.MethodPair, h.attendance)
	pair.Attend(h.svc, pair.Attendant{Promoted: h.promoted, Demoted: h.leave, Closed: h.closed})
	if c.Door != "" {
		pair.Admit(h.svc, filepath.Join(c.Door, talk.DoorSocket))
	}
	return h, nil
}

// pairLog is the log of the pair that HAM is.
func (c HalfConfig) pairLog(log *slog.Logger) *slog.Logger {
	if !c.Quiet {
		return log
	}
	return slog.New(warnings{log.Handler()})
}

// warnings is a handler of warnings and errors only.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}
func (w warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{w.Handler.WithAttrs(a)} }
func (w warnings) WithGroup(g string) slog.Handler      { return warnings{w.Handler.WithGroup(g)} }

func (h *half) handsDir() string { return filepath.Join(h.dir, "hands") }

// promoted makes this half HAM.
func (h *half) promoted(c *pair.Call, how pair.Promotion) error {
	h.journal = &journal{path: filepath.Join(h.dir, "journal"), log: h.log}
	adopts := false
	if how.First {
		adopts = h.restore()
	}
	h.machine = core.New(h.rec)
	h.feed = newFeed(h.rec.history.All())
	var err error
	h.hands, err = hands.Config{Dir: h.handsDir(), Pairs: h.root, Held: h.follower, Line: h.feed.tell}.New(h.log, h.events.Post)
	h.follower = nil
	if err == nil {
		h.reader, err = newReader(h)
	}
	if err != nil {
		h.log.Error("HAM cannot begin its work", "cause", err)
		os.Exit(1) // the other half, or the keeper, tries
	}
	planned := how.Planned || how.First && !adopts // to be founded with nothing to go on from is no failure
	h.step(c, core.Event{Resumed: &core.Resumed{PID: os.Getpid(), Planned: planned, Anew: adopts}})
	h.self = watchSelf(h)
	return nil
}

// restore goes on from the journal of a HAM whose two halves have died. It reports whether there was one.
func (h *half) restore() bool {
	batches, err := h.journal.load()
	if err != nil {
		h.log.Error("HAM does not know what it watched before", "cause", err)
	}
	for i := range batches {
		h.rec.restore(&batches[i])
	}
	h.rec.take()
	if len(batches) > 0 {
		h.log.Warn("both halves of HAM had died: it goes on from its journal", "entities", h.rec.entities.Len())
	}
	return len(batches) > 0
}

// leave ends this half's time as HAM, or as guardian.
func (h *half) leave() {
	if h.self != nil {
		h.self.close()
	}
	if h.reader != nil {
		h.reader.close()
	}
	if h.hands != nil {
		h.hands.Close()
	}
	if h.follower == nil {
		h.follower = hands.Follow(h.handsDir())
	}
	if h.journal != nil {
		h.journal.close()
	}
	h.self, h.reader, h.hands, h.journal, h.machine = nil, nil, nil, nil, nil
}

// event takes in what the hands tell.
func (h *half) event(c *pair.Call, ev core.Event) error {
	if h.machine != nil {
		h.step(c, ev)
	}
	return nil
}

// closed takes in the end of a client's connection.
func (h *half) closed(c *pair.Call) error {
	return h.event(c, core.Event{Disconnected: &core.Disconnected{Client: c.Opener()}})
}

// step advances the machine within a call, and plans what it wants done for the time after the commit.
func (h *half) step(c *pair.Call, ev core.Event) (reply *core.Reply) {
	seen := ev.At
	ev.At, ev.Wall, ev.Seed = time.Duration(c.Monotonic()), c.Now().UnixNano(), c.Rand().Uint64()
	if ev.Exited != nil {
		ev.At = seen // not when its turn has come
	}
	ev.At = max(ev.At, h.at)
	h.at = ev.At
	effects := h.machine.Step(ev)
	changed := h.rec.take()
	for _, e := range effects {
		if r, ok := e.(core.Reply); ok {
			reply = &r
		}
	}
	if len(effects) == 0 && changed.empty() {
		return reply
	}
	c.After(func() {
		if h.machine == nil {
			return
		}
		if !changed.empty() {
			h.journal.write(&changed, h.rec.all)
		}
	})
	for _, e := range effects {
		c.After(func() {
			if h.machine != nil {
				h.perform(e)
			}
		})
	}
	return reply
}

// perform carries out an effect.
func (h *half) perform(e core.Effect) {
	switch e := e.(type) {
	case core.Reply:
	case core.Happened:
		h.feed.publish(e.Happening)
	case core.ShutDown:
		h.over = true
		for j := range h.rec.Jobs() { // what action lists have started must not outlive HAM, which would have ended it in time
			h.hands.Do(core.Cancel{ID: j.Effect})
		}
		h.journal.remove()
		h.stop()
	case core.WriteLog:
		h.log.Info(e.Text, "path", e.Path.String(), "level", e.Level)
	default:
		if !h.over {
			h.hands.Do(e)
		}
	}
}

// identify finds the start time of a process.
func identify(pid int) (proc.ID, error) {
	id, err := proc.Identify(pid)
	if errors.Is(err, proc.ErrGone) {
		err = fmt.Errorf("process %d is not there: %w", pid, core.ErrNotRunning)
	}
	return id, err
}
