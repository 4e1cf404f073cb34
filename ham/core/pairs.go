package core

import "fmt"

// A process pair is one entity: it lives while one of its members does. What becomes of single members is the business of the
// pair itself; the registry tells of it.

// pairFacts takes in the present state of a pair.
func (m *Machine) pairFacts(f *PairFacts) {
	e := m.look(f.Entity)
	if e == nil || e.Settings.Pair == "" {
		return
	}
	e = m.edit(f.Entity)
	old, now := e.Pair, f.Pair
	if len(now.Members) == 0 {
		m.pairGone(e, old, &now)
		return
	}
	e.Pair = &now
	primary := &now.Members[0]
	p := &e.Process
	switch {
	case !e.Alive() && p.Phase != Starting: // it was there before HAM, or somebody else started it
		p.PID, p.Start = primary.PID, primary.Start
		m.began(e, Attached)
		if p.Job != 0 {
			m.restarted(e, nil)
		}
	case e.Alive() && (p.PID != primary.PID || p.Start != primary.Start):
		m.moved(e, primary.PID, primary.Start)
	}
	m.roles(e, old, &now)
}

// pairGone deals with a pair without members. If none were ever seen it is no news: then the process that was to found the pair
// is what counts.
func (m *Machine) pairGone(e *Entity, old, now *Pair) {
	if old == nil || len(old.Members) == 0 || !e.Alive() {
		return
	}
	e.Pair = now
	switch {
	case e.Process.Ending > Condemned:
		m.left(e, Exit{})
	case now.Stopped:
		e.Process.Ending = ToStop
		m.left(e, Exit{})
	default:
		m.died(e, Exit{}, "both members of the pair are gone")
	}
}

// roles tells of changes of roles within the instance.
func (m *Machine) roles(e *Entity, old, now *Pair) {
	if old == nil || old.Instance != now.Instance {
		return
	}
	if now.Takeovers > old.Takeovers {
		text := fmt.Sprintf("epoch %d: process %d took over", now.Epoch, now.Members[0].PID)
		seq := m.note(Happening{What: HasTakenOver, Entity: e.Name, PID: now.Members[0].PID, Text: text})
		m.fire(e.Name, Cause{Seq: seq, Type: OnTakeover, PID: now.Members[0].PID, Text: text}, 0, nil)
	}
	if now.Switches > old.Switches {
		m.note(Happening{What: HasSwitched, Entity: e.Name, PID: now.Members[0].PID, Text: fmt.Sprintf("epoch %d", now.Epoch)})
	}
}

// selfFacts takes in what HAM knows of its own pair.
func (m *Machine) selfFacts(f *SelfFacts) {
	r := &m.tx.root
	r.PID, r.GuardianPID = f.PID, f.GuardianPID
	if f.GuardianDied {
		r.GuardianFailures++
	}
}
