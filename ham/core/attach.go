package core

import (
	"fmt"
	"slices"
)

// attach puts a process under watch, or has one started.
func (m *Machine) attach(by Peer, r *Attach) (Reply, error) {
	e, created, err := m.ensure(by, r.Entity)
	if err != nil {
		return Reply{}, err
	}
	if err := m.checkAttach(by, r, e); err != nil {
		return Reply{}, err
	}
	if r.Flags != nil {
		e.Flags = *r.Flags
	}
	if r.Settings != nil {
		e.Settings = *r.Settings
	}
	if r.Heartbeat != nil {
		e.Settings.Heartbeat = *r.Heartbeat
	}
	if err := m.checkEntity(e); err != nil {
		return Reply{}, err
	}
	m.configured(e)
	reply := Reply{Handle: Handle{Path: Path{Entity: e.Name}, Generation: e.Generation}, Created: created}
	if r.PID == 0 {
		m.start(e)
	} else {
		m.bind(by, r, e)
	}
	return reply, nil
}

// checkAttach refuses what cannot be attached under the name.
func (m *Machine) checkAttach(by Peer, r *Attach, e *Entity) error {
	p := &e.Process
	same := e.Alive() && p.PID == r.PID && p.Start == r.Start
	command := e.Settings.Command.Argv
	if r.Settings != nil {
		command = r.Settings.Command.Argv
	}
	switch {
	case e.Name == Global:
		return fmt.Errorf("the global entity stands for all others: %w", ErrBadName)
	case m.tx.root.Stopping:
		return fmt.Errorf("cannot attach %s: %w", e.Name, ErrStopping)
	case r.PID < 0:
		return fmt.Errorf("pid %d: %w", r.PID, ErrBadSpec)
	case r.PID == 0 && (r.Self || len(command) == 0):
		return fmt.Errorf("%s has neither a process nor a command: %w", e.Name, ErrBadSpec)
	case r.Self && by.PID != r.PID:
		return fmt.Errorf("process %d cannot attach %d as itself: %w", by.PID, r.PID, ErrNotPermitted)
	case r.PID != 0 && e.Alive() && !same:
		return fmt.Errorf("%s is attached to process %d: %w", e.Name, p.PID, ErrRunning)
	}
	ownProcess := same && r.Self && r.Settings == nil && r.Flags == nil // it was started by HAM as another user
	if ownProcess {
		return nil
	}
	return mayChange(by, e.Owner, Path{Entity: e.Name})
}

// ensure returns the entity of a name, to be changed; a placeholder, if there was none.
func (m *Machine) ensure(by Peer, name string) (e *Entity, created bool, err error) {
	if name == "" {
		name = Global
	}
	if err := (Path{Entity: name}).check(); err != nil {
		return nil, false, err
	}
	if e := m.edit(name); e != nil {
		return e, false, nil
	}
	e = &Entity{Name: name, Generation: m.next(), Owner: by.owner(), Created: m.now.Wall}
	m.tx.put(name, e)
	return e, true, nil
}

// bind makes a process that exists the entity's own.
func (m *Machine) bind(by Peer, r *Attach, e *Entity) {
	p := &e.Process
	c := &Claim{PID: r.PID, Start: r.Start, Self: r.Self, Client: by.Client}
	switch {
	case e.Alive(): // it is declared again
		p.LostAt = 0
		if r.Self {
			e.Kind, e.Client = SelfAttached, by.Client
		}
	case p.Phase == Starting:
		p.Claim = c
	default:
		m.claimed(e, c)
	}
}

// claimed makes the process of a claim the entity's own.
func (m *Machine) claimed(e *Entity, c *Claim) {
	kind := Attached
	if c.Self {
		kind, e.Client = SelfAttached, c.Client
	}
	e.Process.PID, e.Process.Start = c.PID, c.Start
	if e.Settings.Pair != "" {
		m.emit(WatchPair{Entity: e.Name, Pair: e.Settings.Pair})
	}
	m.emit(e.watchOf())
	m.began(e, kind)
	m.restarted(e, nil) // a restart that had to wait is not needed any more
}

// start has the process of an entity started, if it has none.
func (m *Machine) start(e *Entity) {
	p := &e.Process
	switch {
	case e.Alive() && p.Ending == ToStop:
		p.Ending, p.Want = ToRestart, true
	case e.Alive():
	case p.Phase == Starting:
		p.Want = true
		if p.Ending <= ToStop {
			p.Ending = Stays
		}
	default:
		e.Spent, p.Want, p.Due = Spent{}, true, 0
		m.advance(e)
	}
}

// pending reports whether there is no process yet, but may be one soon.
func (p *Process) pending() bool {
	return p.Phase == Waiting || p.Phase == Delayed || p.Phase == Starting || p.Phase == Dead
}

// detach ends the watch of an entity on request.
func (m *Machine) detach(by Peer, r *Detach) (Reply, error) {
	at, err := m.resolve(Handle{Path: Path{Entity: r.Path.Entity}, Generation: r.Path.Generation})
	if err != nil {
		return Reply{}, err
	}
	e, p := at.e, &at.e.Process
	switch {
	case e.Kind == SelfAttached && by.PID != p.PID && !by.Admin:
		err = fmt.Errorf("%s attached itself: only process %d or an administrator may detach it: %w", e.Name, p.PID, ErrNotPermitted)
	case e.Kind != SelfAttached || by.PID != p.PID:
		err = mayChange(by, e.Owner, Path{Entity: e.Name})
	}
	if err == nil && !e.Alive() && !p.pending() {
		err = fmt.Errorf("cannot detach %s: %w", e.Name, ErrNotRunning)
	}
	if err != nil {
		return Reply{}, err
	}
	switch {
	case p.Phase == Starting, r.Stop && e.Alive():
		m.stop(e, ToDetach)
	default:
		m.abandon(e)
		m.detached(e)
		m.unblock(e)
	}
	return Reply{Handle: Handle{Path: Path{Entity: e.Name}}}, nil
}

// detached takes an entity out of watch; its process, if it has one still, goes on.
func (m *Machine) detached(e *Entity) {
	pid := e.Process.PID
	m.release(e)
	m.note(Happening{What: HasDetached, Entity: e.Name, PID: pid})
	m.fire(e.Name, Cause{Type: OnDetach, PID: pid}, 0, nil)
	m.restartDependents(e)
	m.drop(e)
}

// release lets go of a process that goes on.
func (m *Machine) release(e *Entity) {
	if e.Alive() || e.Settings.Pair != "" {
		m.emit(Unwatch{Entity: e.Name})
	}
	m.gone(e)
	e.Process = Process{}
}

// remove takes an entity out of the tree.
func (m *Machine) remove(e *Entity) {
	m.abandon(e)
	m.release(e)
	m.emit(Forget{Entity: e.Name})
	m.tx.put(e.Name, nil)
}

// disconnected is called when the connection of a client has ended: what it wanted to be told it cannot be told any more,
// and if it is an entity it is about to die, or as good as dead.
func (m *Machine) disconnected(client uint64) {
	var concerned []string
	for e := range m.store.Entities() {
		if e.Client == client && e.Kind == SelfAttached && e.Settings.Pair == "" || slices.ContainsFunc(e.Conditions, func(c Condition) bool { return c.tells(client) }) {
			concerned = append(concerned, e.Name)
		}
	}
	for _, name := range concerned {
		e := m.edit(name)
		m.forgetClient(e, client)
		if e.Kind == SelfAttached && e.Client == client && e.Alive() {
			e.Process.LostAt = m.now.At + lostAfter
		}
	}
}

// tells reports whether the condition has an action that writes to a client.
func (c *Condition) tells(client uint64) bool {
	return slices.ContainsFunc(c.Actions, func(a Action) bool { return a.Spec.tells(client) })
}

func (a *ActionSpec) tells(client uint64) bool { return a.Notify != nil && a.Notify.Client == client }

// forgetClient removes the actions that write to a client.
func (m *Machine) forgetClient(e *Entity, client uint64) {
	for {
		ci := slices.IndexFunc(e.Conditions, func(c Condition) bool { return c.tells(client) })
		if ci < 0 {
			return
		}
		c := &e.Conditions[ci]
		ai := slices.IndexFunc(c.Actions, func(a Action) bool { return a.Spec.tells(client) })
		m.dropAction(e, c.Spec.Name, c.Actions[ai].Spec.Name)
	}
}

// forgetClients removes the actions that write to any client, and takes the processes that had attached themselves for what they are:
// they run, and come back or do not.
func (m *Machine) forgetClients(e *Entity) {
	tell := func(a Action) bool { return a.Spec.Notify != nil && a.Spec.Notify.Client != 0 }
	told := slices.ContainsFunc(e.Conditions, func(c Condition) bool { return slices.ContainsFunc(c.Actions, tell) })
	if e.Client == 0 && !told {
		return
	}
	e = m.edit(e.Name)
	e.Client = 0
	for i := 0; told && i < len(e.Conditions); {
		c := &e.Conditions[i]
		if ai := slices.IndexFunc(c.Actions, tell); ai < 0 {
			i++
		} else {
			m.dropAction(e, c.Spec.Name, c.Actions[ai].Spec.Name) // with it, perhaps, the condition
		}
	}
}

// lost is called when a self-attached process has not followed its connection: as with QNX it counts as dead. One that is to be
// restarted is ended first, so that there are never two.
func (m *Machine) lost(e *Entity) {
	const why = "its connection ended, without a word"
	e.Process.LostAt = 0
	if m.wouldRestart(e) {
		m.condemn(e, why)
		return
	}
	m.emit(Unwatch{Entity: e.Name})
	m.died(e, Exit{}, why)
}

// wouldRestart reports whether a death now would lead to a restart.
func (m *Machine) wouldRestart(e *Entity) bool {
	return !e.Disabled && slices.ContainsFunc(e.Conditions, func(c Condition) bool {
		return !c.Disabled && c.Spec.On == OnDeath && slices.ContainsFunc(c.Actions, func(a Action) bool { return !a.Disabled && a.Spec.Restart != nil })
	})
}

// stopAll has everything end that HAM started.
func (m *Machine) stopAll() {
	m.tx.root.Stopping, m.unstopped = true, true // stopSome goes on from here
}

// stopSome goes on with StopAll: with so many at once as one step may change.
func (m *Machine) stopSome() {
	if !m.unstopped {
		return
	}
	n := 0
	for e := range m.store.Entities() {
		now := m.look(e.Name)
		if now == nil || !(now.Process.Spawned && now.Alive() || now.Process.pending()) || m.isStopping(now) {
			continue
		}
		if n++; n > elapseAtOnce {
			return // the next step goes on
		}
		m.stop(m.edit(e.Name), ToStop)
	}
	m.unstopped = false
	m.allStopped()
}

// isStopping reports whether an entity is to stop, and all that can be done about it now has been. To end it may have failed before:
// then it is tried once more.
func (m *Machine) isStopping(e *Entity) bool {
	p := &e.Process
	return p.Ending >= ToStop && (!e.Alive() || p.End != 0 || p.EndedAt != 0 || m.heldUp(e))
}

// allStopped says so when everything that HAM started has ended, at the end of StopAll.
func (m *Machine) allStopped() {
	if !m.tx.root.Stopping || m.unstopped {
		return
	}
	for e := range m.store.Entities() {
		if now := m.look(e.Name); now != nil && (now.Process.Spawned && now.Alive() || now.Process.Phase == Starting) {
			return
		}
	}
	m.emit(ShutDown{})
}
