package core

import (
	"fmt"
	"slices"
)

// sample has the resources of a running process looked at if somebody asks for them, or no longer.
func (m *Machine) sample(e *Entity) {
	p := &e.Process
	every := e.Settings.Sample
	if every == 0 && (m.limits(e) || m.limits(m.look(Global))) {
		every = DefaultSample
	}
	if !e.Alive() {
		return
	}
	if every != p.Every || every != 0 {
		m.emit(Sample{Target: e.target(), Every: every})
	}
	p.Every = every
}

// limits reports whether an entity has a condition that asks for its resources.
func (m *Machine) limits(e *Entity) bool {
	return slices.ContainsFunc(e.Conditions, func(c Condition) bool { return c.Spec.On == OnResourceExceeded })
}

// resample is called when it may have changed who asks.
func (m *Machine) resample(e *Entity) {
	if e.Name != Global {
		m.sample(e)
		return
	}
	for other := range m.store.Entities() {
		if other.Alive() && m.look(other.Name) != nil {
			m.sample(m.edit(other.Name))
		}
	}
}

// sampled takes in what a process uses. A condition fires when its limits are passed for as many looks as it wants, and again only
// after they were kept.
func (m *Machine) sampled(s *Sampled) {
	e := m.look(s.Entity)
	if e == nil || e.Process.PID != s.PID || e.Process.Start != s.Start {
		return
	}
	var usage []Usage
	var passed []uint64
	for _, holder := range []*Entity{e, m.look(Global)} {
		for i := range holder.Conditions {
			c := &holder.Conditions[i]
			if c.Spec.On != OnResourceExceeded || !c.Spec.Resource.exceeded(s) {
				continue
			}
			before, enough := e.usageOf(c.Generation), max(1, c.Spec.Resource.For)
			usage = append(usage, Usage{Condition: c.Generation, Over: min(before+1, enough)})
			if before+1 == enough {
				passed = append(passed, c.Generation)
			}
		}
	}
	if slices.Equal(usage, e.Usage) {
		return
	}
	m.edit(s.Entity).Usage = usage
	if len(passed) == 0 {
		return
	}
	text := fmt.Sprintf("%d bytes resident, %.2f processors, %d descriptors", s.RSS, s.CPU, s.FDs)
	seq := m.note(Happening{What: HasExceeded, Entity: s.Entity, PID: s.PID, Text: text})
	m.fire(s.Entity, Cause{Seq: seq, Type: OnResourceExceeded, PID: s.PID, Text: text}, 0, func(c *Condition) bool {
		return slices.Contains(passed, c.Generation)
	})
}

func (e *Entity) usageOf(condition uint64) int {
	for _, u := range e.Usage {
		if u.Condition == condition {
			return u.Over
		}
	}
	return 0
}

func (r *Resource) exceeded(s *Sampled) bool {
	return r.RSS > 0 && s.RSS > r.RSS || r.CPU > 0 && s.CPU > r.CPU || r.FDs > 0 && s.FDs > r.FDs
}
