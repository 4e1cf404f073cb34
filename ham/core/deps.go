package core

import (
	"cmp"
	"fmt"
	"slices"
)

// dependenciesUp reports whether everything that an entity depends on is ready, and starts nothing while all is being stopped.
func (m *Machine) dependenciesUp(e *Entity) bool {
	if m.tx.root.Stopping {
		return false
	}
	return !slices.ContainsFunc(e.Settings.After, func(d Dependency) bool {
		on := m.look(d.Entity)
		return on == nil || !on.Up()
	})
}

// eachDependent calls f for those that depend on an entity, in the order in which they were declared.
func (m *Machine) eachDependent(e *Entity, f func(d *Entity, restart bool)) {
	for _, name := range slices.Clone(m.dependents[e.Name]) {
		d := m.look(name)
		if d == nil {
			continue
		}
		if i := slices.IndexFunc(d.Settings.After, func(on Dependency) bool { return on.Entity == e.Name }); i >= 0 {
			f(m.edit(name), d.Settings.After[i].Restart)
		}
	}
}

// startDependents goes on with those that waited for an entity to be ready.
func (m *Machine) startDependents(e *Entity) {
	m.eachDependent(e, func(d *Entity, _ bool) {
		if d.Process.Phase == Waiting {
			m.advance(d)
		}
	})
}

// restartDependents ends those that want to be restarted with an entity, and those that want to be restarted with them.
// They wait until it is ready again, however often it is restarted meanwhile.
func (m *Machine) restartDependents(e *Entity) {
	m.eachDependent(e, func(d *Entity, restart bool) {
		if restart && (d.Alive() || d.Process.Phase == Starting) && d.Process.Ending < ToRestart {
			m.stop(d, ToRestart)
		}
	})
}

// heldUp reports whether something that depends on an entity is still ending: it ends after that.
func (m *Machine) heldUp(e *Entity) (held bool) {
	m.eachDependent(e, func(d *Entity, _ bool) {
		held = held || (d.Alive() || d.Process.Phase == Starting) && d.Process.Ending != Stays
	})
	return held
}

// unblock goes on with ending what an entity, gone now, depends on.
func (m *Machine) unblock(e *Entity) {
	for _, d := range e.Settings.After {
		if on := m.look(d.Entity); on != nil && on.Alive() && on.Process.Ending != Stays {
			m.advance(m.edit(d.Entity))
		}
	}
}

// stop has the process of an entity end, and before it what depends on it.
func (m *Machine) stop(e *Entity, ending Ending) {
	if ending == ToRestart {
		m.restartDependents(e)
	} else {
		m.eachDependent(e, func(d *Entity, _ bool) {
			if d.Process.Phase != Idle && d.Process.Phase != Stopped && d.Process.Phase != Failed {
				m.stop(d, ToStop)
			}
		})
	}
	p := &e.Process
	p.Want = ending == ToRestart
	if e.Alive() || p.Phase == Starting {
		if ending != ToRestart {
			m.abandon(e)
		}
		p.Ending = max(p.Ending, ending)
		p.Want = p.Ending == ToRestart
		m.advance(e)
		return
	}
	if ending == ToRestart { // it has none: it is being started anyway
		p.Want = true
		m.advance(e)
		return
	}
	m.abandon(e)
	p.Phase = Stopped
}

// checkCircle refuses dependencies that lead back to where they start.
func (m *Machine) checkCircle(e *Entity) error {
	var visit func(name string, way []string) error
	seen := map[string]bool{}
	visit = func(name string, way []string) error {
		way = append(way, name)
		if name == e.Name && len(way) > 1 {
			return fmt.Errorf("entity %q would wait for itself through %q: %w", e.Name, way[1:], ErrCycle)
		}
		at := m.look(name)
		if name == e.Name {
			at = e
		}
		if at == nil || seen[name] {
			return nil
		}
		seen[name] = true
		for _, d := range at.Settings.After {
			if err := visit(d.Entity, way); err != nil {
				return err
			}
		}
		return nil
	}
	return visit(e.Name, nil)
}

// reindex keeps the index of dependents that of the records: old is replaced by e, either may be nil.
func (m *Machine) reindex(name string, old, e *Entity) {
	var before, after []Dependency
	if old != nil {
		before = old.Settings.After
	}
	if e != nil {
		after = e.Settings.After
	}
	if slices.Equal(before, after) && (old == nil) == (e == nil) {
		return
	}
	for _, d := range before {
		m.dependents[d.Entity] = slices.DeleteFunc(m.dependents[d.Entity], func(n string) bool { return n == name })
		if len(m.dependents[d.Entity]) == 0 {
			delete(m.dependents, d.Entity)
		}
	}
	for _, d := range after {
		names := append(m.dependents[d.Entity], name)
		slices.SortFunc(names, func(a, b string) int { return cmp.Compare(m.age(a), m.age(b)) })
		m.dependents[d.Entity] = slices.Compact(names)
	}
}

// age returns the generation of an entity, 0 of one that is being deleted.
func (m *Machine) age(name string) uint64 {
	if e := m.look(name); e != nil {
		return e.Generation
	}
	return 0
}
