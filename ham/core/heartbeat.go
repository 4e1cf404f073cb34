package core

import "time"

// beat is the last heartbeat of an entity that promised some. It is not in the record, for it changes all the time; a machine that
// goes on for another one assumes that everybody has just beaten.
type beat struct {
	last   time.Duration // or when the watch begins
	wall   int64         // Unix nanoseconds; 0: none came yet
	credit time.Duration // Machine.credit then
}

const (
	lateAfter    = MinPeriod / 2          // a tick that comes later than this after its time was late
	lateWorthIts = 250 * time.Millisecond // and if by so much, it is in the history
)

// lateness finds out whether this process did not run when it had asked to, and takes that time off everybody's account: who
// was not looked at has missed nothing. It returns the time if it is worth telling.
func (m *Machine) lateness() time.Duration {
	late := m.now.At - m.woken
	if m.woken < 0 || late <= lateAfter {
		m.late = 0
		return 0
	}
	m.late = late
	m.credit += late
	if late < lateWorthIts {
		return 0
	}
	return late
}

// LastBeat returns when the last heartbeat of an entity was seen, in Unix nanoseconds; 0 if none was, by this process.
func (m *Machine) LastBeat(entity string) int64 { return m.beats[entity].wall }

// watchBeats begins to watch the heartbeat of a process that has just begun.
func (m *Machine) watchBeats(e *Entity) {
	h := &e.Settings.Heartbeat
	if h.Period == 0 {
		m.unwatchBeats(e)
		return
	}
	e.Pulse.State, e.Pulse.Suspended = Beating, false
	m.beats[e.Name] = beat{last: m.now.At + h.Grace, credit: m.credit}
	m.emit(e.watchBeatsOf())
}

// watchBeatsOf returns the order to watch the heartbeat of an entity.
func (e *Entity) watchBeatsOf() WatchBeats {
	h := &e.Settings.Heartbeat
	first := max(h.Low, h.High)
	if h.Low > 0 && h.High > 0 {
		first = min(h.Low, h.High)
	}
	w := WatchBeats{Target: e.target(), Period: h.Period}
	if first > 0 {
		w.Mark = h.until(first)
	}
	return w
}

// until returns how long after a beat a mark is passed: a beat is missed when it is half a period overdue.
func (h *Heartbeat) until(mark int) time.Duration { return time.Duration(mark)*h.Period + h.Period/2 }

func (m *Machine) unwatchBeats(e *Entity) {
	if e.Pulse.State != Unwatched {
		m.emit(UnwatchBeats{Entity: e.Name})
	}
	e.Pulse.State, e.Pulse.Suspended = Unwatched, false
	delete(m.beats, e.Name)
}

// seen takes in heartbeats, some of which may have been seen a while ago.
func (m *Machine) seen(s *Beats) {
	for i, name := range s.Entities {
		ago := time.Duration(0)
		if i < len(s.Seen) {
			ago = max(m.now.At-s.Seen[i]-m.late, 0) // the time in which this process did not run is on nobody's account
		}
		m.beat(name, ago)
	}
}

// beat takes in a heartbeat that came so long ago.
func (m *Machine) beat(name string, ago time.Duration) {
	b, ok := m.beats[name]
	if !ok {
		return
	}
	b.wall = m.now.Wall - int64(ago)
	m.beats[name] = m.beaten(b, m.now.At-ago)
	e := m.look(name)
	if e.Pulse.State == MissedLow || e.Pulse.State == MissedHigh {
		e = m.edit(name)
		e.Pulse.State = Beating
		m.note(Happening{What: HasRecovered, Entity: name, PID: e.Process.PID})
		m.fire(name, Cause{Type: OnHeartbeatRecovered, PID: e.Process.PID}, 0, nil)
	}
	if e.Settings.Ready.Beat && !e.Process.Ready && e.Process.Phase == Running {
		m.isReady(m.edit(name))
	}
}

// deadline returns when the next mark is passed if no beat comes. A beat is missed when it is half a period overdue: so beats that
// are sent once in a period may come a little early or late.
func (m *Machine) deadline(e *Entity) (time.Duration, bool) {
	b, ok := m.beats[e.Name]
	h := &e.Settings.Heartbeat
	mark := 0
	switch e.Pulse.State {
	case Beating:
		if mark = h.Low; h.Low == 0 || h.High > 0 && h.High < h.Low {
			mark = h.High
		}
	case MissedLow:
		mark = h.High
	}
	if !ok || mark == 0 || e.Pulse.Suspended {
		return 0, false
	}
	at := m.base(b) + h.until(mark)
	if m.credit > b.credit { // what kept us from running may have kept the process: it has a period to catch up
		at += h.Period
	}
	return at, true
}

// base returns the time from which beats are counted as missed: that of the last one, or the end of a grace, and for as long as this
// process did not run since, later.
func (m *Machine) base(b beat) time.Duration { return b.last + m.credit - b.credit }

// beaten returns b after a beat at some time. It does not cut a grace short.
func (m *Machine) beaten(b beat, at time.Duration) beat {
	b.last, b.credit = max(m.base(b), at), m.credit
	return b
}

// missed passes the marks whose time has come. After the high mark nothing is watched until a beat comes, or an action makes the
// heartbeat healthy.
func (m *Machine) missed(name string) {
	for {
		e := m.look(name)
		if e == nil {
			return
		}
		at, ok := m.deadline(e)
		if !ok || at > m.now.At {
			return
		}
		if h := &e.Settings.Heartbeat; e.Pulse.State == Beating && h.Low > 0 && (h.High == 0 || h.Low < h.High) {
			m.pass(m.edit(name), MissedLow)
		} else {
			m.pass(m.edit(name), MissedHigh)
		}
	}
}

// pass puts the heartbeat of an entity behind a mark.
func (m *Machine) pass(e *Entity, mark HeartbeatState) {
	e.Pulse.State = mark
	e.Pulse.Missed++
	what, on := HasMissedLow, OnHeartbeatMissedLow
	if mark == MissedHigh {
		what, on = HasMissedHigh, OnHeartbeatMissedHigh
	}
	m.note(Happening{What: what, Entity: e.Name, PID: e.Process.PID})
	m.fire(e.Name, Cause{Type: on, PID: e.Process.PID}, 0, nil)
}

// healthy makes the heartbeat of an entity healthy, as if a beat had come, without telling anybody.
func (m *Machine) healthy(name string) {
	e := m.edit(name)
	if e == nil || e.Pulse.State == Unwatched {
		return
	}
	e.Pulse.State = Beating
	m.beats[name] = m.beaten(m.beats[name], m.now.At)
}

// suspend has no beat count as missed until resumeBeats; both may be called at any time.
func (m *Machine) suspend(e *Entity) { e.Pulse.Suspended = true }

func (m *Machine) resumeBeats(e *Entity) {
	if e.Pulse.Suspended {
		e.Pulse.Suspended = false
		m.healthy(e.Name)
	}
}

// extend has no beat count as missed for so long from now.
func (m *Machine) extend(e *Entity, d time.Duration) {
	if b, ok := m.beats[e.Name]; ok {
		m.beats[e.Name] = m.beaten(b, m.now.At+d)
	}
}
