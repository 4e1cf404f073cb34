package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// clockwork runs a machine as a daemon does: one goroutine, a channel of events, a timer for WakeAt. Its hands take a random time for
// everything, and its clock, that of testing/synctest, stands still while anything is done: so whatever is due can be done at
// its time, to the nanosecond, and if it is not the machine is to blame.
type clockwork struct {
	m      *Machine
	store  *Memory
	lot    *rand.Rand
	birth  time.Time
	inbox  chan func() (Event, bool)
	ended  chan struct{}
	timer  *time.Timer
	ops    map[uint64]*time.Timer   // effects under way
	pids   map[string]int           // processes that run, by entity
	last   int                      // pid given out last
	beaten map[string]time.Duration // from when beats count as missed, by entity
	done   map[string]int           // how often what was due was done, by its kind
	wrong  string                   // the first broken promise
}

func newClockwork(seed uint64, done map[string]int) *clockwork {
	c := &clockwork{store: &Memory{}, lot: rand.New(rand.NewPCG(seed, 0)), birth: time.Now(), inbox: make(chan func() (Event, bool)), ended: make(chan struct{}),
		timer: time.NewTimer(time.Hour), ops: map[uint64]*time.Timer{}, pids: map[string]int{}, beaten: map[string]time.Duration{}, done: done}
	c.m = New(c.store)
	return c
}

// now is what CLOCK_MONOTONIC says.
func (c *clockwork) now() time.Duration { return time.Minute + time.Since(c.birth) }

// upTo returns a random time.
func (c *clockwork) upTo(d time.Duration) time.Duration { return time.Duration(c.lot.Int64N(int64(d))) }

// later has f called on the loop after d; what it returns is the next event, unless nothing came of it.
func (c *clockwork) later(d time.Duration, f func() (Event, bool)) *time.Timer {
	return time.AfterFunc(d, func() {
		select {
		case c.inbox <- f:
		case <-c.ended:
		}
	})
}

func (c *clockwork) run(until time.Duration) {
	defer close(c.ended)
	end := time.NewTimer(until)
	for c.wrong == "" {
		select {
		case f := <-c.inbox:
			if ev, ok := f(); ok {
				c.step(ev)
			}
		case <-c.timer.C:
			c.step(Event{Tick: &Tick{}})
		case <-end.C:
			return
		}
	}
}

// due is something that the machine has promised to do at a time.
type due struct {
	who, what string
	at        time.Duration
}

// dues returns all of these promises, as the records have them: not as the machine's timers do, which may have lost one.
func (c *clockwork) dues() (all []due) {
	for e := range c.store.Entities() {
		p := &e.Process
		if p.Phase == Delayed {
			all = append(all, due{e.Name, "start after a delay", p.Due})
		}
		all = append(all, due{e.Name, "end of who is not ready", p.ReadyBy}, due{e.Name, "probe", p.ProbeAt}, due{e.Name, "end without news", p.EndedAt})
		h := &e.Settings.Heartbeat
		if marks := map[HeartbeatState]int{Beating: h.Low, MissedLow: h.High}; marks[e.Pulse.State] > 0 {
			all = append(all, due{e.Name, "missed beat", c.beaten[e.Name] + time.Duration(marks[e.Pulse.State])*h.Period + h.Period/2})
		}
	}
	for j := range c.store.Jobs() {
		if j.Effect == 0 {
			all = append(all, due{fmt.Sprint(j.ID), "end of a wait", j.Until})
		}
	}
	return slices.DeleteFunc(all, func(d due) bool { return d.at == 0 })
}

// step gives the machine an event. Nothing may have been due before now, and nothing may be due still.
func (c *clockwork) step(ev Event) {
	now := c.now()
	before := c.dues()
	for _, d := range before {
		if d.at < now {
			c.blame("%s: %s was due at %v, and nothing happened before %v", d.who, d.what, d.at, now)
		}
	}
	ev.At, ev.Wall, ev.Seed = now, int64(now), c.lot.Uint64()
	for _, e := range c.m.Step(ev) {
		c.effect(e, before)
	}
	after := c.dues()
	for _, d := range after {
		if d.at <= now {
			c.blame("%s: %s was due at %v, and is still to be done", d.who, d.what, d.at)
		}
	}
	for _, d := range before {
		if d.at == now && !slices.Contains(after, d) {
			c.done[d.what]++
		}
	}
}

func (c *clockwork) blame(format string, a ...any) {
	if c.wrong == "" {
		c.wrong = fmt.Sprintf(format, a...)
	}
}

// notBefore checks that something that is done now was not due later.
func (c *clockwork) notBefore(before []due, who, what string) {
	for _, d := range before {
		if d.who == who && d.what == what && d.at > c.now() {
			c.blame("%s: %s was due at %v, and was done at %v", who, what, d.at, c.now())
		}
	}
}

// effect is what hands do, in random times.
func (c *clockwork) effect(e Effect, before []due) {
	switch e := e.(type) {
	case WakeAt:
		if c.timer.Stop(); e.At >= 0 {
			c.timer.Reset(e.At - c.now())
		}
	case Cancel:
		c.ops[e.ID].Stop()
	case Spawn:
		c.notBefore(before, e.Entity, "start after a delay")
		c.ops[e.ID] = c.later(c.upTo(50*time.Millisecond), func() (Event, bool) { return c.spawn(e), true })
	case End:
		c.ops[e.ID] = c.later(c.upTo(300*time.Millisecond), func() (Event, bool) { return c.end(e), true })
	case Await:
		c.notBefore(before, e.Path.Entity, "probe")
		c.finish(e.ID, 400*time.Millisecond, 2)
	case RunCommand:
		c.finish(e.ID, 400*time.Millisecond, 5)
	case WatchBeats:
		c.beaten[e.Entity] = c.now() + c.store.Entity(e.Entity).Settings.Heartbeat.Grace
		c.beat(e)
	case Happened:
		if e.What == HasMissedLow || e.What == HasMissedHigh {
			c.notBefore(before, e.Entity, "missed beat")
		}
	}
}

// finish tells the outcome of an effect: one in so many times that it failed.
func (c *clockwork) finish(id uint64, within time.Duration, fails int) {
	err := ""
	if c.lot.IntN(fails) == 0 {
		err = "it went wrong"
	}
	c.ops[id] = c.later(c.upTo(within), func() (Event, bool) { return Event{Done: &Done{ID: id, Err: err}}, true })
}

func (c *clockwork) spawn(e Spawn) Event {
	if c.lot.IntN(10) == 0 {
		return Event{Spawned: &Spawned{ID: e.ID, Err: "no memory", Retry: true}}
	}
	c.last++
	pid := c.last
	c.pids[e.Entity] = pid
	c.later(c.upTo(8*time.Second), func() (Event, bool) { return c.exit(e.Entity, pid) })
	if c.lot.IntN(3) > 0 {
		c.later(c.upTo(time.Second), func() (Event, bool) {
			return Event{Notified: &Notified{Entity: e.Entity, PID: pid, Ready: true}}, c.pids[e.Entity] == pid
		})
	}
	return Event{Spawned: &Spawned{ID: e.ID, PID: pid, Start: uint64(pid)}}
}

// exit is the end of a process, unless it has ended before.
func (c *clockwork) exit(entity string, pid int) (Event, bool) {
	if c.pids[entity] != pid {
		return Event{}, false
	}
	delete(c.pids, entity)
	return Event{Exited: &Exited{Entity: entity, PID: pid, Start: uint64(pid), Exit: Exit{Known: true, Signal: 9}}}, true
}

// end ends a process. The news of it comes before, after, or never.
func (c *clockwork) end(e End) Event {
	news := c.lot.IntN(3)
	exited, was := c.exit(e.Entity, e.PID)
	if !was {
		return Event{Done: &Done{ID: e.ID}}
	}
	done := Event{Done: &Done{ID: e.ID}}
	switch news {
	case 0:
		c.later(c.upTo(time.Millisecond), func() (Event, bool) { return done, true })
		return exited
	case 1:
		c.later(c.upTo(2*time.Second), func() (Event, bool) { return exited, true })
	}
	return done
}

// beat has a process beat now and then, and sometimes too late.
func (c *clockwork) beat(w WatchBeats) {
	c.later(c.upTo(6*w.Period), func() (Event, bool) {
		if c.pids[w.Entity] != w.PID {
			return Event{}, false
		}
		c.beat(w)
		c.beaten[w.Entity] = max(c.beaten[w.Entity], c.now())
		return Event{Beats: &Beats{Entities: []string{w.Entity}}}, true
	})
}

// declare declares what there is to run, with a use of everything that takes time.
func (c *clockwork) declare() {
	c.step(Event{Resumed: &Resumed{PID: 1, Planned: true}})
	revive := lives(ActionSpec{Name: "pause", Flags: RearmAction, WaitFor: &WaitFor{Timeout: 700 * time.Millisecond}}, flagged(runs("warm"), RearmAction|KeepOnFail))
	hung := on(OnHeartbeatMissedHigh, RearmCondition|Independent, ActionSpec{Name: "kill", Flags: KeepOnFail, Kill: &Kill{}})
	settings := []Settings{
		{Heartbeat: Heartbeat{Period: 100 * time.Millisecond, Low: 2, High: 4, Grace: 300 * time.Millisecond}},
		{Ready: Readiness{Notify: true, Timeout: 800 * time.Millisecond}},
		{Ready: Readiness{Probe: &WaitFor{Path: "/run/x", Timeout: time.Second}}, After: []Dependency{{Entity: "e0", Restart: true}}},
	}
	for i, s := range settings {
		e := entity(fmt.Sprint("e", i), revive, hung)
		s.Command.Argv, s.Start = []string{"/bin/x"}, true
		s.Restart = Budget{Limit: -1, Half: time.Second, Cap: 2 * time.Second, Jitter: 0.5}
		e.Settings = &s
		c.step(Event{Request: &Request{ID: uint64(i), By: root, Declare: &Declare{Entity: &e}}})
	}
}

func TestWhatIsDueIsDoneAtItsTimeExactly(t *testing.T) {
	t.Parallel()
	done := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		seed := rapid.Uint64().Draw(r, "seed")
		wrong := ""
		synctest.Test(t, func(*testing.T) {
			c := newClockwork(seed, done)
			c.declare()
			c.run(20 * time.Second)
			wrong = c.wrong
		})
		require.Empty(r, wrong)
	})
	for _, what := range []string{"start after a delay", "end of who is not ready", "probe", "end without news", "missed beat", "end of a wait"} {
		require.Positive(t, done[what], "the test has seen no %s", what)
	}
}

// A timer may be a little early, and a tick uses it up: who is not called again would wait for ever.
func TestATickThatComesTooEarlyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := entity("e", lives())
	e.Settings = &Settings{Restart: Budget{Delays: []time.Duration{time.Second}}}
	w.run(e)
	w.dies("e", Exit{})
	due := w.now + time.Second
	for _, early := range []time.Duration{time.Millisecond, time.Nanosecond} {
		w.now = due - early
		require.Contains(t, w.step(Event{Tick: &Tick{}}), WakeAt{At: due})
	}
	w.heard()
	w.now = due
	w.step(Event{Tick: &Tick{}})
	require.Equal(t, []string{"spawn e"}, w.heard())
}

// What should be due at any time is called again, but not at once: HAM is not to be busy with it alone.
func TestWhatIsDueForEverDoesNotKeepHAMBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(entity("e"))
	w.m.timers.arm(timerKey{entity: "e"}, w.now) // at the end of a step
	w.m.out = nil
	w.m.wake()
	require.Equal(t, []Effect{WakeAt{At: w.now + soonest}}, w.m.out)
}
