package core

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rule is one rule of the original, or of ours, as a transcript: given this, when that happens, then this is what is done, in this
// order and nothing else. The names begin with the place of the rule in the table of functions in docs/ham.md.
type rule struct {
	name  string
	given []step
	when  []step
	then  []string       // effects in words
	holds func(w *world) // and what else is true then; may be nil
}

// step is one thing that happens in a transcript.
type step func(w *world)

func given(s ...step) []step          { return s }
func when(s ...step) []step           { return s }
func then(effects ...string) []string { return effects }

// noise are effects that belong to every life of a process, and say nothing about rules.
var noise = []string{"unwatchbeats", "watchbeats", "sample", "forget"}

func (r rule) run(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, s := range r.given {
		s(w)
	}
	w.heard()
	for _, s := range r.when {
		s(w)
	}
	said := slices.DeleteFunc(w.heard(), func(s string) bool {
		word := strings.Fields(s)[0]
		return slices.Contains(noise, word) && !slices.ContainsFunc(r.then, func(x string) bool { return strings.HasPrefix(x, word) })
	})
	require.Equal(t, append([]string{}, r.then...), append([]string{}, said...), "what is done")
	if r.holds != nil {
		r.holds(w)
	}
}

func runRules(t *testing.T, rules []rule) {
	for _, r := range rules {
		t.Run(r.name, r.run)
	}
}

// What happens in transcripts.

func declares(e EntitySpec) step { return func(w *world) { w.declare(e) } }

func running(e EntitySpec) step { return func(w *world) { w.run(e) } }

func asks(by Peer, r Request) step { return func(w *world) { w.must(w.ask(by, r)) } }

// refused asks for something that is refused for the reason given, in words that hold text.
func refused(by Peer, r Request, why error, text string) step {
	return func(w *world) {
		before := snapshot(w.store)
		err := w.ask(by, r)
		require.ErrorIs(w.t, err, why)
		require.ErrorContains(w.t, err, text)
		require.Equal(w.t, before, snapshot(w.store), "what is refused changes nothing")
	}
}

func declaring(e EntitySpec) Request { return Request{Declare: &Declare{Entity: &e}} }

func declaringCondition(entity string, c ConditionSpec) Request {
	return Request{Declare: &Declare{Path: handle(entity), Condition: &c}}
}

func declaringAction(path string, a ActionSpec) Request {
	return Request{Declare: &Declare{Path: handle(path), Action: &a}}
}

func removing(path string) Request { return Request{Remove: &Remove{Path: handle(path)}} }

func controlling(path string, v Verb) Request {
	return Request{Control: &Control{Path: handle(path), Verb: v}}
}

func flagging(path string, v Verb, flags uint32) Request {
	return Request{Control: &Control{Path: handle(path), Verb: v, Flags: flags}}
}

func attaching(name string, pid int) Request {
	return Request{Attach: &Attach{Entity: name, PID: pid, Start: uint64(pid)}}
}

func attachingSelf(name string, by Peer, h *Heartbeat) Request {
	return Request{Attach: &Attach{Entity: name, PID: by.PID, Start: uint64(by.PID), Self: true, Heartbeat: h}}
}

func detaching(name string) Request { return Request{Detach: &Detach{Path: handle(name)}} }

func reporting(name string, state int64) step {
	return asks(root, Request{State: &ReportState{Entity: handle(name), State: state}})
}

func raising(name string, typ, class, severity int64) step {
	return asks(root, Request{Raise: &Raise{Entity: name, Type: typ, Class: class, Severity: severity}})
}

func dies(name string) step { return ends(name, Exit{Known: true, Signal: 9}) }

func ends(name string, exit Exit) step { return func(w *world) { w.dies(name, exit) } }

func born(name string) step { return func(w *world) { w.born(name) } }

func stillborn(name, err string, retry bool) step {
	return func(w *world) { w.step(Event{Spawned: &Spawned{ID: w.spawnID(name), Err: err, Retry: retry}}) }
}

func succeeds(effect string) step { return func(w *world) { w.finish(effect, "") } }

func fails(effect string) step { return func(w *world) { w.finish(effect, "it went wrong") } }

func sleeps(d time.Duration) step { return func(w *world) { w.sleep(d) } }

func beats(names ...string) step {
	return func(w *world) { w.step(Event{Beats: &Beats{Entities: names}}) }
}

func notifies(n Notified) step { return func(w *world) { w.step(Event{Notified: &n}) } }

func takesOver() step { return func(w *world) { w.takeOver() } }

// What holds after them.

func is(name string, phase Phase) func(w *world) {
	return func(w *world) {
		e := w.m.look(name)
		require.NotNil(w.t, e, "%s is gone", name)
		require.Equal(w.t, phase, e.Process.Phase, "phase of %s", name)
	}
}

func gone(name string) func(w *world) {
	return func(w *world) { require.Nil(w.t, w.m.look(name), "%s is still there", name) }
}

func all(f ...func(w *world)) func(w *world) {
	return func(w *world) {
		for _, f := range f {
			f(w)
		}
	}
}

// tree checks what is below an entity: "condition: action action" each.
func tree(name string, lines ...string) func(w *world) {
	return func(w *world) {
		e := w.m.look(name)
		require.NotNil(w.t, e, "%s is gone", name)
		var is []string
		for i := range e.Conditions {
			c := &e.Conditions[i]
			line := c.Spec.Name + ":"
			for _, a := range c.Actions {
				line += " " + a.Spec.Name
			}
			is = append(is, line)
		}
		require.Equal(w.t, append([]string{}, lines...), append([]string{}, is...), "what is below %s", name)
	}
}

func happened(what ...string) func(w *world) { return func(w *world) { w.has(what...) } }

func pulse(name string, s HeartbeatState) func(w *world) {
	return func(w *world) { require.Equal(w.t, s, w.m.look(name).Pulse.State) }
}
