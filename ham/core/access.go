package core

import "fmt"

// owner returns a client as the owner of what he declares.
func (p Peer) owner() Owner { return Owner{UID: p.UID, GID: p.GID, Admin: p.Admin} }

// may reports whether o may change what belongs to another: an administrator may change everything, everybody else only
// what is his own.
func (o Owner) may(other Owner) bool { return o.Admin || !other.Admin && o.UID == other.UID }

// mayChange refuses who may not change a part of the tree.
func mayChange(by Peer, owner Owner, what Path) error {
	if by.owner().may(owner) {
		return nil
	}
	if owner.Admin {
		return fmt.Errorf("%s belongs to the administrators: %w", what, ErrNotPermitted)
	}
	return fmt.Errorf("%s belongs to user %d, not to %d: %w", what, owner.UID, by.UID, ErrNotPermitted)
}

// mayReport refuses who is neither the process of an entity, nor may change it.
func mayReport(by Peer, e *Entity) error {
	if e.Alive() && by.PID == e.Process.PID {
		return nil
	}
	return mayChange(by, e.Owner, Path{Entity: e.Name})
}

// spot is a place in the tree: an entity, one of its conditions (ci >= 0), one of its actions (ai >= 0).
type spot struct {
	e      *Entity
	ci, ai int
}

// resolve finds what a handle names, to be changed.
func (m *Machine) resolve(h Handle) (spot, error) {
	at, err := m.find(h)
	if err == nil {
		at.e = m.edit(at.e.Name)
	}
	return at, err
}

// find finds what a handle names, to be looked at.
func (m *Machine) find(h Handle) (spot, error) {
	if h.Entity == "" {
		h.Entity = Global
	}
	at := spot{e: m.look(h.Entity), ci: -1, ai: -1}
	if at.e == nil {
		return at, fmt.Errorf("entity %q: %w", h.Entity, ErrNotFound)
	}
	generation := at.e.Generation
	if h.Condition != "" || h.Action != "" {
		if at.ci = at.e.condition(h.Condition); at.ci < 0 {
			return at, fmt.Errorf("condition %q of %s: %w", h.Condition, h.Entity, ErrNotFound)
		}
		generation = at.condition().Generation
	}
	if h.Action != "" {
		if at.ai = at.condition().action(h.Action); at.ai < 0 {
			return at, fmt.Errorf("action %q of %s/%s: %w", h.Action, h.Entity, h.Condition, ErrNotFound)
		}
		generation = at.action().Generation
	}
	if h.Generation != 0 && h.Generation != generation {
		return at, fmt.Errorf("%s has generation %d, the handle %d: %w", h.Path, generation, h.Generation, ErrStale)
	}
	return at, nil
}

func (s spot) condition() *Condition { return &s.e.Conditions[s.ci] }
func (s spot) action() *Action       { return &s.condition().Actions[s.ai] }

// owner returns whose the place is.
func (s spot) owner() Owner {
	if s.ci >= 0 {
		return s.condition().Owner
	}
	return s.e.Owner
}

// handle returns the handle of the place.
func (s spot) handle() Handle {
	h := Handle{Path: Path{Entity: s.e.Name}, Generation: s.e.Generation}
	if s.ci >= 0 {
		h.Condition, h.Generation = s.condition().Spec.Name, s.condition().Generation
	}
	if s.ai >= 0 {
		h.Action, h.Generation = s.action().Spec.Name, s.action().Generation
	}
	return h
}

// mine resolves a handle for a client who wants to change what it names.
func (m *Machine) mine(by Peer, h Handle) (spot, error) {
	at, err := m.resolve(h)
	if err != nil {
		return at, err
	}
	return at, mayChange(by, at.owner(), at.handle().Path)
}
