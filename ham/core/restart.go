package core

import "fmt"

// restart does a restart action. It may be called again when the entity has waited for its time or its dependencies.
func (m *Machine) restart(j *Job, r *Restart) (progress, error) {
	e := m.edit(j.Path.Entity)
	if e == nil || e.Generation != j.Entity {
		return over, fmt.Errorf("cannot restart %q: %w", j.Path.Entity, ErrNotFound)
	}
	p := &e.Process
	if p.Job != j.ID {
		if done, err := m.mayRestart(e, r); done || err != nil {
			return over, err
		}
		p.Again, p.Job, p.Command = true, j.ID, r.Command
		if !p.Want { // nobody has asked for it yet
			delay, ok := m.spend(e)
			if !ok {
				p.Job = 0
				m.giveUp(e)
				return over, fmt.Errorf("cannot restart %q: %w", e.Name, ErrGaveUp)
			}
			p.Want, p.Due = true, m.now.At+delay
			if delay > 0 {
				m.note(Happening{What: HasDelayed, Entity: e.Name, Text: delay.String()})
			}
		}
	}
	m.advance(e)
	if p.Phase == Starting {
		return underWay, nil
	}
	return aside, nil
}

// mayRestart reports whether nothing needs to be done, or why nothing can.
func (m *Machine) mayRestart(e *Entity, r *Restart) (done bool, err error) {
	p := &e.Process
	switch {
	case (e.Alive() || p.Phase == Starting) && p.Ending < ToStop:
		return true, nil // somebody else brought it back
	case p.Phase != Dead && !p.Want, p.Job != 0, m.tx.root.Stopping:
		return false, fmt.Errorf("cannot restart %q: %w", e.Name, errAbandoned)
	case r.Command == nil && len(e.Settings.Command.Argv) == 0:
		return false, fmt.Errorf("cannot restart %q: neither the action nor the entity has a command: %w", e.Name, ErrBadSpec)
	}
	return false, nil
}

// restarted ends the restart action that an entity's process was started for: with success, or with an error.
func (m *Machine) restarted(e *Entity, err error) {
	j := m.job(e.Process.Job)
	e.Process.Job = 0
	if j == nil { // nobody's: it was started by a verb, or to begin with
		return
	}
	j.Effect = 0
	if m.hasLane(j) {
		m.outcome(j, err)
		return
	}
	m.settle(j, err)
	j.Aside = false
	m.enqueue(j)
}

// abandon ends the list whose restart action waits for an entity.
func (m *Machine) abandon(e *Entity) {
	if j := m.job(e.Process.Job); e.Process.Job != 0 && j != nil {
		m.note(Happening{What: HasFailed, Entity: j.Path.Entity, Condition: j.Path.Condition, Action: j.path().Action, Text: errAbandoned.Error()})
		j.Effect = 0
		m.endJob(j)
	}
	e.Process.Job = 0
}

// setAside lets the lane of a restart action go on without it.
func (m *Machine) setAside(e *Entity) {
	if j := m.job(e.Process.Job); e.Process.Job != 0 && j != nil {
		j.Effect, j.Aside = 0, true
		m.leaveLane(j)
	}
}

// giveUp is called when the restart budget is used up.
func (m *Machine) giveUp(e *Entity) {
	e.Process.Phase, e.Process.Want = Failed, false
	m.note(Happening{What: HasGivenUp, Entity: e.Name})
	m.fire(e.Name, Cause{Type: OnGaveUp}, 0, nil)
}

// restarts reports whether a list holds a restart action.
func (j *Job) restarts() bool {
	for i := range j.Actions {
		if j.Actions[i].Spec.Restart != nil {
			return true
		}
	}
	return false
}
