package core

import (
	"cmp"
	"slices"
)

// fire runs the conditions of an entity, and of the global one, that an event matches: those of type Any, and those of the type
// of the cause for which match holds (nil: all of them). Each fires once, in the order in which they were declared. It
// returns the jobs.
func (m *Machine) fire(entity string, cause Cause, depth int, match func(c *Condition) bool) (jobs []*Job) {
	if match == nil {
		match = func(c *Condition) bool { return c.Spec.On == cause.Type }
	}
	cause.Entity, cause.Wall = entity, m.now.Wall
	if cause.Seq == 0 {
		cause.Seq = m.next()
	}
	for _, f := range m.matching(entity, match) {
		if j := m.fireOne(f, cause, depth); j != nil {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// found is a condition that matches: the entity it belongs to and its name.
type found struct {
	entity, condition string
	generation        uint64
}

func (m *Machine) matching(entity string, match func(c *Condition) bool) (matching []found) {
	holders := []string{entity, Global}
	if entity == Global {
		holders = holders[1:]
	}
	for _, name := range holders {
		e := m.look(name)
		if e == nil || e.Disabled {
			continue
		}
		for i := range e.Conditions {
			c := &e.Conditions[i]
			if !c.Disabled && (c.Spec.On == OnAny || match(c)) {
				matching = append(matching, found{name, c.Spec.Name, c.Generation})
			}
		}
	}
	slices.SortFunc(matching, func(a, b found) int { return cmp.Compare(a.generation, b.generation) })
	return matching
}

// fireOne puts the actions of a condition into its lane. It returns nil if there are none.
func (m *Machine) fireOne(f found, cause Cause, depth int) *Job {
	e := m.edit(f.entity)
	c := &e.Conditions[e.condition(f.condition)]
	c.Fired++
	c.LastFired = m.now.Wall
	m.tx.root.Fired++
	m.note(Happening{What: HasFired, Entity: f.entity, Condition: f.condition, Text: cause.Type.String() + " of " + cause.Entity})
	actions := slices.DeleteFunc(slices.Clone(c.Actions), func(a Action) bool { return a.Disabled })
	if len(actions) == 0 {
		return nil
	}
	return m.newJob(e, c, actions, cause, depth)
}

func (m *Machine) newJob(e *Entity, c *Condition, actions []Action, cause Cause, depth int) *Job {
	j := &Job{
		ID: m.next(), Path: Path{Entity: e.Name, Condition: c.Spec.Name}, Entity: e.Generation, Condition: c.Generation,
		Lane: laneOf(c), Owner: c.Owner, Cause: cause, Depth: depth, Actions: actions,
	}
	m.tx.putJob(j.ID, j)
	m.enqueue(j)
	return j
}

// doNow runs one action at once, as HACTIONDONOW has it: in its turn, in the lane of its condition.
func (m *Machine) doNow(e *Entity, c *Condition, a Action) {
	m.newJob(e, c, []Action{a}, Cause{Seq: m.next(), Wall: m.now.Wall, Entity: e.Name, PID: e.Process.PID, Text: "declared"}, 0)
}

// prune removes what is not to survive a restart: conditions without RearmCondition with all their actions, and of the other
// conditions the actions that are not re-armed. That is the text of QNX 7.1 of October 2024.
func (m *Machine) prune(e *Entity) {
	kept := e.Conditions[:0]
	for _, c := range e.Conditions {
		if c.Spec.Flags&RearmCondition == 0 {
			continue
		}
		had := len(c.Actions)
		c.Actions = slices.DeleteFunc(c.Actions, func(a Action) bool { return !a.Spec.Rearmed(c.Spec.On) })
		if had == 0 || len(c.Actions) > 0 || c.Spec.Flags&KeepOnEmpty != 0 {
			kept = append(kept, c)
		}
	}
	e.Conditions = kept
}

// Rearmed reports whether an action of a condition of that type survives a restart of its entity.
func (a *ActionSpec) Rearmed(on ConditionType) bool {
	switch {
	case a.Flags&OneShot != 0:
		return false
	case on.death():
		return a.Flags&RearmAction != 0
	}
	return true
}

// dropAction removes an action, and its condition if that was the last one.
func (m *Machine) dropAction(e *Entity, condition, action string) {
	ci := e.condition(condition)
	c := &e.Conditions[ci]
	c.Actions = slices.Delete(c.Actions, c.action(action), c.action(action)+1)
	if len(c.Actions) == 0 && c.Spec.Flags&KeepOnEmpty == 0 {
		e.Conditions = slices.Delete(e.Conditions, ci, ci+1)
	}
}
