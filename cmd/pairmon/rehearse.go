package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// rehearsal is HAM's own state machine with hands that only pretend: everything that is started runs, and is ready at once.
type rehearsal struct {
	machine *core.Machine
	store   *core.Memory
	events  []core.Event // that the pretending leads to
	now     time.Duration
	lastPID int

	started []string // in words, in order
	waiting []string
	refused []refusal
}

type refusal struct {
	entity string
	err    error
}

// rehearse tries declarations out. It ends: every event leads to fewer things that could still happen.
func rehearse(specs []core.EntitySpec) *rehearsal {
	r := &rehearsal{store: &core.Memory{}, lastPID: 100}
	r.machine = core.New(r.store)
	r.step(core.Event{Resumed: &core.Resumed{PID: 1}})
	me := core.Peer{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Admin: true}
	for i := range specs {
		before := len(r.refused)
		r.step(core.Event{Request: &core.Request{By: me, Declare: &core.Declare{Entity: &specs[i], Exact: true}}})
		for n := range r.refused[before:] {
			r.refused[before+n].entity = specs[i].Name
		}
		r.settle()
	}
	for e := range r.store.Entities() {
		if e.Process.Phase == core.Waiting {
			r.waiting = append(r.waiting, fmt.Sprintf("%s waits until %s", e.Name, r.missing(e)))
		}
	}
	return r
}

// mostEvents bounds a rehearsal: actions that are done at once could lead to one another.
const mostEvents = 100_000

func (r *rehearsal) settle() {
	for n := 0; len(r.events) > 0 && n < mostEvents; n++ {
		ev := r.events[0]
		r.events = r.events[1:]
		r.step(ev)
	}
}

func (r *rehearsal) step(ev core.Event) {
	r.now += time.Millisecond
	ev.At, ev.Wall = r.now, int64(r.now)
	for _, e := range r.machine.Step(ev) {
		r.pretend(e)
	}
}

// pretend does an effect.
func (r *rehearsal) pretend(e core.Effect) {
	done := func(id uint64) {
		r.events = append(r.events, core.Event{Done: &core.Done{ID: id, Exit: &core.Exit{Known: true}}})
	}
	switch e := e.(type) {
	case core.Reply:
		if e.Err != nil {
			r.refused = append(r.refused, refusal{err: e.Err})
		}
	case core.Spawn:
		r.spawn(e)
	case core.Await:
		done(e.ID)
	case core.RunCommand:
		done(e.ID)
	case core.Tell:
		done(e.ID)
	case core.SendSignal:
		done(e.ID)
	case core.End:
		done(e.ID)
	}
}

// spawn pretends that a program runs, and says all that it is expected to say.
func (r *rehearsal) spawn(e core.Spawn) {
	r.lastPID++
	entity := r.store.Entity(e.Entity)
	r.started = append(r.started, e.Entity+": "+inWords(e.Command)+after(entity))
	r.events = append(r.events, core.Event{Spawned: &core.Spawned{ID: e.ID, PID: r.lastPID, Start: 1}})
	switch q := entity.Settings.Ready; {
	case q.Notify:
		r.events = append(r.events, core.Event{Notified: &core.Notified{Entity: e.Entity, PID: r.lastPID, Ready: true}})
	case q.Beat:
		r.events = append(r.events, core.Event{Beats: &core.Beats{Entities: []string{e.Entity}}})
	case q.State != nil:
		state := core.ReportState{Entity: core.Handle{Path: core.Path{Entity: e.Entity}}, State: *q.State}
		r.events = append(r.events, core.Event{Request: &core.Request{By: core.Peer{Admin: true}, State: &state}})
	}
}

// inWords shows a command as it would be typed.
func inWords(c core.Command) string {
	var words []string
	for _, a := range c.Argv {
		if a == "" || strings.ContainsAny(a, " \t\n\"'\\$&|;<>()*?[]{}") {
			a = strconv.Quote(a)
		}
		words = append(words, a)
	}
	if _, err := exec.LookPath(c.Argv[0]); err != nil && c.Dir == "" {
		words = append(words, "(not found here)")
	}
	return strings.Join(words, " ")
}

func after(e *core.Entity) string {
	if len(e.Settings.After) == 0 {
		return ""
	}
	var names []string
	for _, d := range e.Settings.After {
		names = append(names, d.Entity)
	}
	return ", when " + strings.Join(names, " and ") + isReady(len(names))
}

func isReady(n int) string {
	if n == 1 {
		return " is ready"
	}
	return " are ready"
}

// missing says what keeps an entity from being started.
func (r *rehearsal) missing(e *core.Entity) string {
	var names []string
	for _, d := range e.Settings.After {
		if on := r.store.Entity(d.Entity); on == nil || !on.Up() {
			names = append(names, d.Entity)
		}
	}
	return strings.Join(names, " and ") + isReady(len(names)) + ", which this file does not start"
}
