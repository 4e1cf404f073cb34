package core

import (
	"fmt"
	"reflect"
	"slices"
)

// declare makes sure that something is in the tree as given.
func (m *Machine) declare(by Peer, r *Declare) (Reply, error) {
	switch {
	case r.Entity != nil:
		return m.declareEntity(by, r)
	case r.Condition != nil:
		return m.declareCondition(by, r)
	case r.Action != nil, r.Fail != nil:
		return m.declareAction(by, r)
	}
	return Reply{}, fmt.Errorf("a declaration of nothing: %w", ErrBadSpec)
}

func (m *Machine) declareEntity(by Peer, r *Declare) (Reply, error) {
	spec := r.Entity
	e, created, err := m.ensure(by, spec.Name)
	if err != nil {
		return Reply{}, err
	}
	at := spot{e: e, ci: -1, ai: -1}
	if !created {
		if err := mayChange(by, e.Owner, Path{Entity: e.Name}); err != nil {
			return Reply{}, err
		}
		if r.Create {
			return Reply{}, fmt.Errorf("entity %q: %w", e.Name, ErrExists)
		}
	}
	if twice := repeated(spec.Conditions, func(c ConditionSpec) string { return c.Name }); twice != "" {
		return Reply{}, bad("entity %s has two conditions %q", e.Name, twice)
	}
	e.Flags = spec.Flags
	if spec.Settings != nil {
		e.Settings = *spec.Settings
	}
	if r.Exact {
		e.Conditions = slices.DeleteFunc(e.Conditions, func(c Condition) bool {
			return !slices.ContainsFunc(spec.Conditions, func(s ConditionSpec) bool { return s.Name == c.Spec.Name })
		})
	}
	for i := range spec.Conditions {
		if _, _, err := m.putCondition(by, e, &spec.Conditions[i], r); err != nil {
			return Reply{}, err
		}
	}
	if err := m.declared(at); err != nil {
		return Reply{}, err
	}
	if p := &e.Process; e.Settings.Start && p.Phase == Idle && !m.tx.root.Stopping {
		m.start(e)
	}
	return Reply{Handle: at.handle(), Created: created}, nil
}

func (m *Machine) declareCondition(by Peer, r *Declare) (Reply, error) {
	at, err := m.resolve(Handle{Path: Path{Entity: r.Path.Entity}, Generation: r.Path.Generation})
	if err != nil {
		return Reply{}, err
	}
	if err := mayReport(by, at.e); err != nil { // a process may add to its own entity, whoever had it started
		return Reply{}, err
	}
	i, created, err := m.putCondition(by, at.e, r.Condition, r)
	if err != nil {
		return Reply{}, err
	}
	at.ci = i
	return Reply{Handle: at.handle(), Created: created}, m.declared(at)
}

func (m *Machine) declareAction(by Peer, r *Declare) (Reply, error) {
	at, err := m.mine(by, r.Path)
	if err != nil {
		return Reply{}, err
	}
	created := false
	switch {
	case r.Action != nil && at.ci >= 0 && at.ai < 0:
		if r.Create && at.condition().action(r.Action.Name) >= 0 {
			return Reply{}, fmt.Errorf("action %s/%s: %w", r.Path.Path, r.Action.Name, ErrExists)
		}
		at.ai, created = m.putAction(at.condition(), r.Action)
	case r.Fail != nil && at.ai >= 0:
		created, err = putFail(&at.action().Spec, r.Fail, r.Create)
	default:
		err = fmt.Errorf("%s holds no such thing: %w", r.Path.Path, ErrBadSpec)
	}
	if err != nil {
		return Reply{}, err
	}
	return Reply{Handle: at.handle(), Created: created}, m.declared(at)
}

// putCondition puts a condition in its place and returns the place.
func (m *Machine) putCondition(by Peer, e *Entity, spec *ConditionSpec, r *Declare) (i int, created bool, err error) {
	if i = e.condition(spec.Name); i < 0 {
		e.Conditions = append(e.Conditions, Condition{Generation: m.next(), Owner: by.owner()})
		i, created = len(e.Conditions)-1, true
	}
	c := &e.Conditions[i]
	path := Path{Entity: e.Name, Condition: spec.Name}
	if twice := repeated(spec.Actions, func(a ActionSpec) string { return a.Name }); twice != "" {
		return 0, false, bad("condition %s has two actions %q", path, twice)
	}
	if !created {
		if err := mayChange(by, c.Owner, path); err != nil {
			return 0, false, err
		}
		if r.Create {
			return 0, false, fmt.Errorf("condition %s: %w", path, ErrExists)
		}
		if c.Spec.On != spec.On { // another condition under the same name
			c.Generation, c.Fired, c.LastFired = m.next(), 0, 0
		}
	}
	c.Spec = *spec
	c.Spec.Actions = nil
	old := c.Actions
	if r.Exact {
		c.Actions = nil // they are put back in the order of the declaration
	}
	for k := range spec.Actions {
		if was := indexOf(old, spec.Actions[k].Name); r.Exact && was >= 0 {
			c.Actions = append(c.Actions, old[was])
		}
		m.putAction(c, &spec.Actions[k])
	}
	return i, created, nil
}

// repeated returns a name that is there more than once, or "".
func repeated[T any](list []T, name func(T) string) string {
	seen := map[string]bool{}
	for _, x := range list {
		if seen[name(x)] {
			return name(x)
		}
		seen[name(x)] = true
	}
	return ""
}

func indexOf(actions []Action, name string) int {
	return slices.IndexFunc(actions, func(a Action) bool { return a.Spec.Name == name })
}

// putAction puts an action in its place, at the end if it is new, and returns the place.
func (m *Machine) putAction(c *Condition, spec *ActionSpec) (i int, created bool) {
	if i = c.action(spec.Name); i < 0 {
		c.Actions = append(c.Actions, Action{Spec: *spec, Generation: m.next()})
		return len(c.Actions) - 1, true
	}
	a := &c.Actions[i]
	if a.Spec.Kind() != spec.Kind() { // another action under the same name
		*a = Action{Generation: m.next()}
	}
	a.Spec = *spec
	return i, false
}

// putFail puts an item into the fail list of an action.
func putFail(a *ActionSpec, item *ActionSpec, create bool) (created bool, err error) {
	i := slices.IndexFunc(a.OnFail, func(f ActionSpec) bool { return f.Name == item.Name })
	a.OnFail = slices.Clone(a.OnFail)
	switch {
	case i < 0:
		a.OnFail = append(a.OnFail, *item)
	case create:
		return false, fmt.Errorf("fail action %q: %w", item.Name, ErrExists)
	default:
		a.OnFail[i] = *item
	}
	return i < 0, nil
}

// declared checks what a declaration has made of an entity, and does what follows from it.
func (m *Machine) declared(at spot) error {
	if err := m.checkEntity(at.e); err != nil {
		return err
	}
	old := m.store.Entity(at.e.Name)
	if old == nil || !reflect.DeepEqual(old.specs(), at.e.specs()) {
		m.changed(at, "declared")
	}
	m.configured(at.e)
	for i := range at.e.Conditions {
		c := &at.e.Conditions[i]
		for _, a := range c.Actions {
			if a.Spec.Flags&DoNow != 0 && !old.holds(c.Spec.Name, a.Generation) {
				m.doNow(at.e, c, a)
			}
		}
	}
	return nil
}

// specs returns everything about an entity that is declared.
func (e *Entity) specs() EntitySpec {
	spec := EntitySpec{Name: e.Name, Flags: e.Flags, Settings: &e.Settings}
	for i := range e.Conditions {
		c := e.Conditions[i].Spec
		for k := range e.Conditions[i].Actions {
			c.Actions = append(c.Actions, e.Conditions[i].Actions[k].Spec)
		}
		spec.Conditions = append(spec.Conditions, c)
	}
	return spec
}

// holds reports whether an entity, if it is one, has an action of that generation.
func (e *Entity) holds(condition string, generation uint64) bool {
	if e == nil || e.condition(condition) < 0 {
		return false
	}
	c := &e.Conditions[e.condition(condition)]
	return slices.ContainsFunc(c.Actions, func(a Action) bool { return a.Generation == generation })
}

// configured does what follows from new settings and conditions, compared with those in the store.
func (m *Machine) configured(e *Entity) {
	old := m.store.Entity(e.Name)
	if old == nil {
		old = &Entity{}
	}
	if was, is := old.Settings.Pair, e.Settings.Pair; was != is {
		e.Pair = nil
		if was != "" {
			m.emit(Unwatch{Entity: e.Name})
			if e.Alive() {
				m.emit(e.watchOf())
			}
		}
		if is != "" {
			m.emit(WatchPair{Entity: e.Name, Pair: is})
		}
	}
	if e.Alive() && old.Settings.Heartbeat != e.Settings.Heartbeat {
		m.watchBeats(e)
	}
	if old.Settings.Sample != e.Settings.Sample || m.limits(old) != m.limits(e) {
		m.resample(e)
	}
	if e.Alive() && !e.Process.Ready && !reflect.DeepEqual(old.Settings.Ready, e.Settings.Ready) {
		m.unprobe(e)
		e.Process.ReadyBy = 0
		if e.Process.Phase == Running {
			m.awaitReady(e)
		}
	}
	if e.Process.Phase == Waiting {
		m.advance(e)
	}
}

// removePart takes something out of the tree.
func (m *Machine) removePart(by Peer, r *Remove) (Reply, error) {
	at, err := m.mine(by, r.Path)
	if err != nil {
		return Reply{}, err
	}
	switch {
	case at.ci < 0:
		return Reply{}, m.removeEntity(at.e, r)
	case at.ai < 0:
		at.e.Conditions = slices.Delete(at.e.Conditions, at.ci, at.ci+1)
	case r.Fail == "":
		m.dropAction(at.e, r.Path.Condition, r.Path.Action)
	default:
		a := &at.action().Spec
		i := slices.IndexFunc(a.OnFail, func(f ActionSpec) bool { return f.Name == r.Fail })
		if i < 0 {
			return Reply{}, fmt.Errorf("fail action %q of %s: %w", r.Fail, r.Path.Path, ErrNotFound)
		}
		a.OnFail = slices.Delete(slices.Clone(a.OnFail), i, i+1)
	}
	m.note(Happening{What: HasChanged, Entity: r.Path.Entity, Condition: r.Path.Condition, Action: r.Path.Action, Text: "removed"})
	m.configured(at.e)
	return Reply{}, nil
}

func (m *Machine) removeEntity(e *Entity, r *Remove) error {
	busy := e.Alive() || e.Process.pending()
	switch {
	case e.Name == Global:
		return fmt.Errorf("the global entity is always there: %w", ErrBadSpec)
	case busy && !r.Stop:
		return fmt.Errorf("cannot remove %s: %w", e.Name, ErrRunning)
	case busy:
		m.stop(e, ToRemove)
	}
	if !e.Alive() && e.Process.Phase != Starting {
		m.note(Happening{What: HasChanged, Entity: e.Name, Text: "removed"})
		m.remove(e)
	}
	return nil
}
