package core

import (
	"errors"
	"fmt"
	"time"
)

// The life of a process. What is wanted is in the record (Want, Ending, Due); advance does what can be done about it now,
// and is called again whenever something that it waited for has come: so a wish is never lost, and there is never a second process.

const (
	lostAfter  = time.Second // a connection that ended this long before the process does is a death by itself
	exitWithin = time.Second // Exited follows the end of a process within this time, or it is done without
	probeEvery = time.Second // pause between two looks whether an entity is ready
)

// advance brings the process of an entity closer to what is wanted.
func (m *Machine) advance(e *Entity) {
	p := &e.Process
	switch {
	case p.Phase == Starting:
		return // Spawned goes on from here
	case e.Alive():
		m.ending(e)
	case !p.Want:
		return
	case !m.dependenciesUp(e):
		p.Phase = Waiting
	case p.Due > m.now.At:
		p.Phase = Delayed
	case p.Job != 0 && !m.hasLane(m.job(p.Job)):
		p.Phase = Waiting
		j := m.job(p.Job)
		j.Aside = false
		m.enqueue(j)
	default:
		m.spawn(e)
	}
}

// ending gives the order to end a process, if it is to end, once everything that depends on it has.
func (m *Machine) ending(e *Entity) {
	p := &e.Process
	if p.Ending == Stays {
		return
	}
	p.Phase = Stopping
	if p.End != 0 || p.EndedAt != 0 || m.heldUp(e) {
		return
	}
	p.End = m.next()
	m.flight[p.End] = flight{entity: e.Name}
	m.emit(m.endOf(e, p.End, false))
}

func (m *Machine) endOf(e *Entity, id uint64, again bool) End {
	steps := e.Settings.Stop
	if len(steps) == 0 {
		steps = DefaultStop()
	}
	return End{ID: id, Target: e.target(), Steps: steps, Group: e.Process.Spawned && !e.Settings.OnlySelf, As: e.Owner, Again: again}
}

// spawn gives the order to start the process.
func (m *Machine) spawn(e *Entity) {
	p := &e.Process
	p.Phase, p.Spawn = Starting, m.next()
	m.flight[p.Spawn] = flight{entity: e.Name}
	if p.Job != 0 {
		m.job(p.Job).Effect = p.Spawn
	}
	m.emit(m.spawnOf(e, false))
}

func (m *Machine) spawnOf(e *Entity, again bool) Spawn {
	s := &e.Settings
	command := s.Command
	if e.Process.Command != nil {
		command = *e.Process.Command
	}
	return Spawn{ID: e.Process.Spawn, Entity: e.Name, Command: command, As: e.Owner, Notify: true, Watchdog: s.Heartbeat.Period, Group: e.ownsGroup(), Again: again}
}

// ownsGroup reports whether nothing of the process group is to outlive the process: a worker that does would hold on to what the next
// process needs, such as a port. The members of a pair are not all in one, and outlive each other.
func (e *Entity) ownsGroup() bool { return !e.Settings.OnlySelf && e.Settings.Pair == "" }

// spawned takes in the outcome of a Spawn.
func (m *Machine) spawned(s *Spawned) {
	f, ok := m.flight[s.ID]
	e := m.edit(f.entity)
	if !ok || e == nil || e.Process.Spawn != s.ID {
		return
	}
	delete(m.flight, s.ID)
	p := &e.Process
	p.Spawn = 0
	c := p.Claim
	p.Claim = nil
	switch {
	case c != nil && (c.PID != s.PID || c.Start != s.Start):
		p.Spawned = s.Err == ""
		m.claimed(e, c)
	case s.Err != "":
		m.notSpawned(e, s)
	default:
		kind := Attached
		if c != nil && c.Self {
			kind, e.Client = SelfAttached, c.Client
		}
		p.PID, p.Start, p.Spawned = s.PID, s.Start, true
		m.began(e, kind)
		m.restarted(e, nil)
	}
}

// notSpawned deals with a process that could not be started: within a restart action that is for its fail list, otherwise
// it is a death like any other. What may go away by itself is tried again within the budget.
func (m *Machine) notSpawned(e *Entity, s *Spawned) {
	p := &e.Process
	cause := errors.New(s.Err)
	if p.Ending != Stays {
		m.setAside(e)
		m.left(e, Exit{})
		return
	}
	if s.Retry {
		if delay, ok := m.spend(e); ok {
			p.Phase, p.Due = Delayed, m.now.At+max(delay, e.Settings.Restart.delay())
			m.note(Happening{What: HasDelayed, Entity: e.Name, Text: s.Err})
			m.setAside(e)
			return
		}
		m.giveUp(e)
		m.restarted(e, fmt.Errorf("%w: %w", ErrGaveUp, cause))
		return
	}
	if p.Job == 0 {
		m.died(e, Exit{}, "cannot start: "+s.Err)
		return
	}
	p.Phase, p.Want = Failed, false
	m.restarted(e, cause)
}

// began is called when an entity has a process.
func (m *Machine) began(e *Entity, kind Kind) {
	p := &e.Process
	again := p.Again
	e.Kind = kind
	p.Phase, p.Since, p.Want, p.Again, p.Due, p.LostAt = Running, m.now.At, true, false, 0, 0
	m.watchProcess(e)
	if again {
		e.Restarts++
		m.tx.root.Restarted++
		m.note(Happening{What: HasRestarted, Entity: e.Name, PID: p.PID})
		m.fire(e.Name, Cause{Type: OnRestart, PID: p.PID}, 0, nil)
		m.prune(e)
	} else {
		m.note(Happening{What: HasAttached, Entity: e.Name, PID: p.PID})
		m.fire(e.Name, Cause{Type: OnAttach, PID: p.PID}, 0, nil)
	}
	m.awaitReady(e)
	m.advance(e) // it may be that it is to end already
}

// watchOf returns the order to watch the process of an entity. Only what HAM started knows of a notification socket.
func (e *Entity) watchOf() Watch {
	return Watch{Target: e.target(), Adopted: e.Process.Spawned, Notify: e.Process.Spawned, Group: e.Process.Spawned && e.ownsGroup()}
}

// moved is called when another process has become the one of an entity: the primary of its pair, or what MAINPID names. If the one
// before was being ended this one is.
func (m *Machine) moved(e *Entity, pid int, start uint64) {
	p := &e.Process
	p.PID, p.Start, p.EndedAt = pid, start, 0
	if p.End != 0 {
		delete(m.flight, p.End)
		m.emit(Cancel{ID: p.End})
		p.End = 0
	}
	if !e.paired() {
		m.emit(e.watchOf())
	}
	m.watchProcess(e)
	m.advance(e)
}

// watchProcess has everything looked at that can be seen of a running process.
func (m *Machine) watchProcess(e *Entity) {
	m.watchBeats(e)
	m.sample(e)
}

// done takes in the outcome of an effect other than Spawn.
func (m *Machine) done(d *Done) {
	f, ok := m.flight[d.ID]
	if !ok {
		return
	}
	delete(m.flight, d.ID)
	var err error
	if d.Err != "" {
		err = errors.New(d.Err)
	}
	if f.job != 0 {
		if j := m.job(f.job); j != nil && j.Effect == d.ID {
			m.outcome(j, err)
		}
		return
	}
	e := m.edit(f.entity)
	switch {
	case e == nil:
	case e.Process.Probe == d.ID:
		m.probed(e, err)
	case e.Process.End == d.ID:
		m.ended(e, err)
	}
}

// paired reports whether the entity is a pair of which members were seen: then the end of a single process says nothing.
func (e *Entity) paired() bool { return e.Pair != nil && len(e.Pair.Members) > 0 }
