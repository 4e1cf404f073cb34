package core

import "slices"

// derive works out from the store what a machine keeps besides it.
func (m *Machine) derive() {
	m.ready, m.unstopped = true, m.store.Root().Stopping
	m.lanes, m.flight, m.beats, m.dependents = map[Lane]*queue{}, map[uint64]flight{}, map[string]beat{}, map[string][]string{}
	for e := range m.store.Entities() {
		m.reindex(e.Name, nil, e)
		for _, id := range []uint64{e.Process.Spawn, e.Process.End, e.Process.Probe} {
			if id != 0 {
				m.flight[id] = flight{entity: e.Name}
			}
		}
		if e.Pulse.State != Unwatched {
			m.beats[e.Name] = beat{last: m.now.At}
		}
		m.timers.arm(timerKey{entity: e.Name}, m.nextTime(e))
	}
	for j := range m.store.Jobs() {
		m.deriveJob(j)
	}
}

// deriveJob finds a list its place in its lane.
func (m *Machine) deriveJob(j *Job) {
	m.timers.arm(timerKey{job: j.ID}, j.nextTime())
	spawn := j.action() != nil && j.action().Restart != nil
	if j.Effect != 0 && !spawn {
		m.flight[j.Effect] = flight{job: j.ID}
	}
	if j.Aside {
		return
	}
	if j.Effect == 0 && j.Until == 0 {
		m.enqueue(j)
		return
	}
	q := m.lanes[j.Lane]
	if q == nil {
		q = &queue{}
		m.lanes[j.Lane] = q
	}
	q.running = j.ID
}

// resume sets the hands of a new process to work: everything that runs is watched, and what was under way is given out
// again, as far as its delivery allows.
func (m *Machine) resume(r *Resumed) {
	root := &m.tx.root
	if root.Created == 0 {
		root.Created = m.now.Wall
	}
	root.PID, root.GuardianPID = r.PID, 0
	if !r.Planned {
		root.Failures++
	}
	var names []string
	for e := range m.store.Entities() {
		names = append(names, e.Name)
	}
	for _, name := range names {
		if e := m.look(name); e != nil && r.Anew {
			m.forgetClients(e)
		}
		if e := m.look(name); e != nil {
			m.resumeEntity(e)
		}
	}
	if !r.Planned {
		seq := m.note(Happening{What: HasTakenOver, PID: r.PID, Text: "HAM's guardian is HAM now"})
		m.fire(Global, Cause{Seq: seq, Type: OnTakeover, PID: r.PID, Text: "HAM's guardian is HAM now"}, 0, nil)
	}
	for _, was := range slices.Collect(m.store.Jobs()) {
		if j := m.job(was.ID); was.Effect != 0 && j != nil && j.Effect == was.Effect {
			m.resumeJob(j)
		}
	}
	m.allStopped()
}

// resumeEntity gives out again what the hands are to do about an entity.
func (m *Machine) resumeEntity(e *Entity) {
	p := &e.Process
	if e.Settings.Pair != "" {
		m.emit(WatchPair{Entity: e.Name, Pair: e.Settings.Pair})
	}
	if e.Alive() {
		if !e.paired() {
			m.emit(e.watchOf())
		}
		if e.Pulse.State != Unwatched {
			m.emit(e.watchBeatsOf())
		}
		if p.Every != 0 {
			m.emit(Sample{Target: e.target(), Every: p.Every})
		}
	}
	if p.Spawn != 0 {
		m.emit(m.spawnOf(e, true))
	}
	if p.End != 0 {
		m.emit(m.endOf(e, p.End, true))
	}
	if p.Probe != 0 {
		m.emit(m.probeOf(e, true))
	}
}
