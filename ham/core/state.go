package core

import (
	"fmt"
	"slices"
	"strconv"
)

// Is returns a Match of these values.
func Is(values ...int64) Match { return Match{Values: values} }

// IsNot returns a Match of every value but these.
func IsNot(values ...int64) Match { return Match{Not: true, Values: values} }

// Anything returns a Match of every value.
func Anything() Match { return Match{Any: true} }

// matches reports whether a value is in the set; known is false of a state that was never reported.
func (x Match) matches(v int64, known bool) bool {
	if x.Any {
		return true
	}
	return (known && slices.Contains(x.Values, v)) != x.Not
}

func (x Match) empty() bool { return !x.Any && len(x.Values) == 0 }

// reportState takes in the state that an entity has entered. Reporting the present one again is no transition.
func (m *Machine) reportState(e *Entity, to int64) {
	t := &Transition{From: e.State, First: !e.Entered, To: to}
	if e.Entered && e.State == to {
		return
	}
	e.State, e.Entered = to, true
	m.note(Happening{What: HasEntered, Entity: e.Name, PID: e.Process.PID, Text: strconv.FormatInt(to, 10)})
	m.fire(e.Name, Cause{Type: OnState, PID: e.Process.PID, State: t}, 0, func(c *Condition) bool {
		return c.Spec.On == OnState && c.Spec.From.matches(t.From, !t.First) && c.Spec.To.matches(to, true)
	})
	if want := e.Settings.Ready.State; want != nil && e.Process.Phase == Running {
		if *want == to {
			m.isReady(e)
		} else {
			e.Process.Ready = false
		}
	}
}

// raise takes in a condition that a component raised.
func (m *Machine) raise(r *Raise, depth int) {
	text := fmt.Sprintf("type %d class %d severity %d", r.Type, r.Class, r.Severity)
	seq := m.note(Happening{What: HasRaised, Entity: r.Entity, Text: text})
	m.fire(r.Entity, Cause{Seq: seq, Type: OnRaise, Raise: r}, depth, func(c *Condition) bool {
		s := &c.Spec
		return s.On == OnRaise && s.Type.matches(r.Type, true) && s.Class.matches(r.Class, true) && s.Severity.matches(r.Severity, true)
	})
}
