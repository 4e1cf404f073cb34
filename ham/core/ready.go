package core

import (
	"slices"
)

// awaitReady is called when a process has begun: from now on it may become ready.
func (m *Machine) awaitReady(e *Entity) {
	p, r := &e.Process, &e.Settings.Ready
	if !r.Notify && !r.Beat && r.State == nil && r.Probe == nil {
		m.isReady(e)
		return
	}
	if r.Timeout > 0 {
		p.ReadyBy = m.now.At + r.Timeout
	}
	if r.Probe != nil {
		m.probe(e)
	}
}

// isReady is called when an entity has become ready.
func (m *Machine) isReady(e *Entity) {
	p := &e.Process
	if p.Ready {
		return
	}
	m.unprobe(e)
	p.Ready, p.ReadyBy = true, 0
	m.note(Happening{What: HasBeenReady, Entity: e.Name, PID: p.PID})
	m.startDependents(e)
}

// probe looks whether an entity is ready.
func (m *Machine) probe(e *Entity) {
	p := &e.Process
	p.ProbeAt, p.Probe = 0, m.next()
	m.flight[p.Probe] = flight{entity: e.Name}
	m.emit(m.probeOf(e, false))
}

func (m *Machine) probeOf(e *Entity, again bool) Await {
	return Await{ID: e.Process.Probe, Path: Path{Entity: e.Name}, For: *e.Settings.Ready.Probe, As: e.Owner, Again: again}
}

// probed takes in the answer.
func (m *Machine) probed(e *Entity, err error) {
	e.Process.Probe = 0
	if err != nil {
		e.Process.ProbeAt = m.now.At + probeEvery
		return
	}
	m.isReady(e)
}

// unprobe ends the looking.
func (m *Machine) unprobe(e *Entity) {
	p := &e.Process
	if p.Probe != 0 {
		delete(m.flight, p.Probe)
		m.emit(Cancel{ID: p.Probe})
	}
	p.Probe, p.ProbeAt = 0, 0
}

// tooLate is called when a process should have been ready.
func (m *Machine) tooLate(e *Entity) {
	p := &e.Process
	if m.late > 0 { // it may have been: we were not there to see it
		p.ReadyBy = m.now.At + m.late
		return
	}
	p.ReadyBy = 0
	m.condemn(e, "not ready in time")
}

// condemn ends a process for a fault of its own.
func (m *Machine) condemn(e *Entity, why string) {
	p := &e.Process
	p.Why, p.Ending = why, max(p.Ending, Condemned)
	m.advance(e)
}

// notified takes in a message in the protocol of sd_notify(3).
func (m *Machine) notified(n *Notified) {
	e := m.look(n.Entity)
	if e == nil || !e.Alive() {
		return
	}
	if n.Watchdog {
		m.beat(n.Entity, 0)
	}
	e = m.edit(n.Entity)
	if n.MainPID != 0 && (n.MainPID != e.Process.PID || n.MainStart != e.Process.Start) {
		m.moved(e, n.MainPID, n.MainStart)
	}
	if n.HasFDs && !slices.Equal(e.FDs, n.FDs) {
		e.FDs = slices.Clone(n.FDs)
	}
	if n.HasStatus && e.Status != n.Status {
		e.Status = n.Status
		m.note(Happening{What: HasSaid, Entity: e.Name, PID: e.Process.PID, Text: n.Status})
	}
	m.phaseOf(e, n)
	if n.Trigger && e.Pulse.State != Unwatched && e.Pulse.State != MissedHigh {
		m.pass(e, MissedHigh)
	}
}

// phaseOf takes in what a process says of where it is in its life.
func (m *Machine) phaseOf(e *Entity, n *Notified) {
	p := &e.Process
	if n.Extend > 0 {
		m.extend(e, n.Extend)
		if p.ReadyBy != 0 {
			p.ReadyBy = max(p.ReadyBy, m.now.At+n.Extend)
		}
	}
	if n.Reloading {
		p.Ready = false
		m.suspend(e)
	}
	if n.Ready {
		reloaded := e.Pulse.Suspended
		m.resumeBeats(e)
		if p.Phase == Running && (e.Settings.Ready.Notify || reloaded) {
			m.isReady(e)
		}
	}
	if n.Stopping {
		p.Ready = false
		m.suspend(e)
	}
}
