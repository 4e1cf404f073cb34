package core

import (
	"errors"
	"slices"
	"time"
)

// Lane is where an action list runs. In a lane one list runs at a time, in the order in which their conditions fired and,
// for one event, were declared. There are one lane for all conditions with NoWait, one for each with Independent, and
// one for all others: at most two more than there are Independent conditions.
type Lane struct {
	Class     LaneClass `json:"class"`
	Condition uint64    `json:"condition,omitempty"` // generation of the independent one
}

// LaneClass is the scheduling class of a condition.
type LaneClass uint8

// The classes.
const (
	OtherLane LaneClass = iota
	NoWaitLane
	IndependentLane
)

var laneClasses = [...]string{OtherLane: "other", NoWaitLane: "nowait", IndependentLane: "independent"}

// String returns the class in lower case.
func (c LaneClass) String() string { return nameOf(laneClasses[:], "lane class", c) }

// laneOf returns the lane of a condition. Of both flags NoWait wins.
func laneOf(c *Condition) Lane {
	switch {
	case c.Spec.Flags&NoWait != 0:
		return Lane{Class: NoWaitLane}
	case c.Spec.Flags&Independent != 0:
		return Lane{Class: IndependentLane, Condition: c.Generation}
	}
	return Lane{Class: OtherLane}
}

// queue is the present state of a lane.
type queue struct {
	running uint64   // the job that has the lane; 0: none
	waiting []uint64 // jobs, in order
}

// enqueue puts a job into its lane: a new one at the end, one that had stood aside where it was.
func (m *Machine) enqueue(j *Job) {
	q := m.lanes[j.Lane]
	if q == nil {
		q = &queue{}
		m.lanes[j.Lane] = q
	}
	if at, found := slices.BinarySearch(q.waiting, j.ID); !found {
		q.waiting = slices.Insert(q.waiting, at, j.ID)
	}
	m.stirred = append(m.stirred, j.Lane)
}

// work lets every lane that has been stirred run its lists until each waits for something outside.
func (m *Machine) work() {
	for len(m.stirred) > 0 {
		lane := m.stirred[0]
		m.stirred = m.stirred[1:]
		for q := m.lanes[lane]; q != nil && q.running == 0; q = m.lanes[lane] {
			if len(q.waiting) == 0 {
				delete(m.lanes, lane)
				break
			}
			q.running, q.waiting = q.waiting[0], q.waiting[1:]
			m.proceed(m.job(q.running))
		}
	}
}

// leaveLane lets the next one run.
func (m *Machine) leaveLane(j *Job) {
	q := m.lanes[j.Lane]
	if q == nil {
		return
	}
	if q.running == j.ID {
		q.running = 0
		m.stirred = append(m.stirred, j.Lane)
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(id uint64) bool { return id == j.ID })
}

func (m *Machine) hasLane(j *Job) bool {
	q := m.lanes[j.Lane]
	return q != nil && q.running == j.ID
}

// progress says how far an action has come when it has been begun.
type progress uint8

const (
	over     progress = iota // it is done, or has failed
	underWay                 // its outcome will come
	aside                    // its restart has to wait: the lane is for others meanwhile
)

// proceed does the actions of a list from its step on, as far as it comes. The list has its lane.
func (m *Machine) proceed(j *Job) {
	for {
		a := j.action()
		if a == nil {
			m.endJob(j)
			return
		}
		switch p, err := m.perform(j, a); p {
		case underWay:
			return
		case aside:
			j.Aside = true
			m.leaveLane(j)
			return
		default:
			m.settle(j, err)
		}
	}
}

// endJob takes a list away, at its end or before.
func (m *Machine) endJob(j *Job) {
	m.tx.putJob(j.ID, nil)
	m.leaveLane(j)
	delete(m.flight, j.Effect)
	if e := m.look(j.Path.Entity); e != nil && e.Process.Phase == Dead && e.Process.Reviver == j.ID {
		m.edit(e.Name).Process.Phase = Failed // the list broke off before it came to the restart
	}
}

// action returns the action that a list is at, or nil at its end.
func (j *Job) action() *ActionSpec {
	if j.Step >= len(j.Actions) {
		return nil
	}
	a := &j.Actions[j.Step].Spec
	if j.Failing > 0 {
		return &a.OnFail[j.Failing-1]
	}
	return a
}

// path returns the path of the action that a list is at.
func (j *Job) path() Path {
	p := j.Path
	if a := j.action(); a != nil {
		p.Action = a.Name
	}
	return p
}

// outcome takes in what became of the effect that a list waited for.
func (m *Machine) outcome(j *Job, err error) {
	j.Effect, j.Until = 0, 0
	m.settle(j, err)
	m.proceed(j)
}

// nextTime returns when a list goes on by itself, or 0. An Await is timed by whoever does it.
func (j *Job) nextTime() time.Duration {
	if j.Effect != 0 {
		return 0
	}
	return j.Until
}

// waited is called when a wait of a list may be over.
func (m *Machine) waited(id uint64) {
	j := m.job(id)
	if j == nil {
		return
	}
	if at := j.nextTime(); at != 0 && at <= m.now.At {
		m.outcome(j, nil)
	}
}

// settle moves a list on: to the next action, into the fail list of this one, or to the end.
func (m *Machine) settle(j *Job, err error) {
	a := &j.Actions[j.Step]
	if j.Failing > 0 {
		m.noteAction(j, err)
		if j.Failing++; j.Failing > len(a.Spec.OnFail) {
			j.Failing = 0
			m.afterFailure(j)
		}
		return
	}
	m.count(j, err)
	if err == nil {
		m.noteAction(j, nil)
		j.Step++
		return
	}
	m.failed(j, err)
	switch {
	case errors.Is(err, errAbandoned):
		j.Step = len(j.Actions)
	case len(a.Spec.OnFail) > 0:
		j.Failing = 1
	default:
		m.afterFailure(j)
	}
}

// afterFailure goes on after an action that failed, and its fail list.
func (m *Machine) afterFailure(j *Job) {
	if j.Actions[j.Step].Spec.Flags&BreakOnFail != 0 {
		j.Step = len(j.Actions)
		return
	}
	j.Step++
}

// until returns what is left of a timeout that was set at its beginning.
func (m *Machine) until(at time.Duration) time.Duration { return max(at-m.now.At, time.Millisecond) }
