package core

import (
	"errors"
	"fmt"
)

// ActionKind is what an action does.
type ActionKind string

// The kinds of actions.
const (
	KindRestart ActionKind = "restart"
	KindExecute ActionKind = "execute"
	KindWaitFor ActionKind = "waitfor"
	KindNotify  ActionKind = "notify"
	KindSignal  ActionKind = "signal"
	KindKill    ActionKind = "kill"
	KindHealthy ActionKind = "healthy"
	KindLog     ActionKind = "log"
	KindRaise   ActionKind = "raise"
	KindDump    ActionKind = "dump"
	KindEnable  ActionKind = "enable"
	KindDisable ActionKind = "disable"
)

// kinds returns everything that the specification asks for: a good one holds exactly one.
func (a *ActionSpec) kinds() (kinds []ActionKind) {
	for _, k := range []struct {
		set  bool
		kind ActionKind
	}{
		{a.Restart != nil, KindRestart}, {a.Execute != nil, KindExecute}, {a.WaitFor != nil, KindWaitFor}, {a.Notify != nil, KindNotify},
		{a.Signal != nil, KindSignal}, {a.Kill != nil, KindKill}, {a.Healthy != nil, KindHealthy}, {a.Log != nil, KindLog},
		{a.Raise != nil, KindRaise}, {a.Dump != nil, KindDump}, {a.Enable != nil, KindEnable}, {a.Disable != nil, KindDisable},
	} {
		if k.set {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

// Kind returns what the action does; "" if it does nothing.
func (a *ActionSpec) Kind() ActionKind {
	if kinds := a.kinds(); len(kinds) > 0 {
		return kinds[0]
	}
	return ""
}

// Delivers says whether the action is done again when HAM died while it was under way. By default signals and dumps are not, and
// everything else is: a restart (whose process is looked for first), a command, a wait, a notice and a kill. Healthy, log, raise,
// enable and disable happen within the event that leads to them and are never under way.
func (a *ActionSpec) Delivers() Delivery {
	switch {
	case a.Delivery != AsKind:
		return a.Delivery
	case a.Signal != nil || a.Dump != nil:
		return AtMostOnce
	}
	return AtLeastOnce
}

var (
	errAbandoned = errors.New("the entity was stopped, or its process is there already")
	errNoProcess = errors.New("the entity has no process")
)

// perform begins the action that a list is at.
func (m *Machine) perform(j *Job, a *ActionSpec) (progress, error) {
	switch {
	case a.Restart != nil:
		return m.restart(j, a.Restart)
	case a.WaitFor != nil:
		j.Until = m.now.At + a.WaitFor.Timeout
		if a.WaitFor.nothing() {
			return underWay, nil
		}
	case a.Healthy != nil:
		m.healthy(j.Cause.Entity)
		return over, nil
	case a.Log != nil:
		m.log(j, a.Log)
		return over, nil
	case a.Raise != nil:
		return over, m.chain(j, a.Raise)
	case a.Enable != nil:
		return over, m.switchPart(j, a.Enable, true)
	case a.Disable != nil:
		return over, m.switchPart(j, a.Disable, false)
	}
	j.Effect = m.next()
	effect, err := m.effectOf(j, a, false)
	if effect == nil {
		j.Effect = 0
		return over, err
	}
	m.flight[j.Effect] = flight{job: j.ID}
	m.emit(effect)
	return underWay, nil
}

// effectOf returns the effect that an action asks for; nil if there is nothing to do, with the reason if that is a failure.
func (m *Machine) effectOf(j *Job, a *ActionSpec, again bool) (Effect, error) {
	path := j.path()
	switch {
	case a.Execute != nil, a.Dump != nil:
		x := a.Execute
		if x == nil {
			x = a.Dump
		}
		run := RunCommand{ID: j.Effect, Path: path, Cause: j.Cause, Command: x.Command, As: j.Owner, Timeout: x.Timeout, Background: x.Background, Again: again}
		if j.Lane.Class == NoWaitLane {
			run.Background = true
		}
		if run.Timeout == 0 && !run.Background {
			run.Timeout = DefaultExecute
		}
		return run, nil
	case a.WaitFor != nil:
		w := *a.WaitFor
		w.Timeout = m.until(j.Until)
		return Await{ID: j.Effect, Path: path, For: w, As: j.Owner, Again: again}, nil
	case a.Notify != nil:
		n := *a.Notify
		if n.Signal != nil {
			s, err := m.aim(j, *n.Signal)
			if err != nil {
				return nil, err
			}
			n.Signal = &s
		}
		return Tell{ID: j.Effect, Path: path, Cause: j.Cause, Notify: n, As: j.Owner, Again: again}, nil
	case a.Signal != nil:
		s, err := m.aim(j, *a.Signal)
		if err != nil {
			return nil, err
		}
		return SendSignal{ID: j.Effect, Path: path, Signal: s, As: j.Owner, Again: again}, nil
	case a.Kill != nil:
		e := m.look(j.Cause.Entity)
		if e == nil || !e.Alive() {
			return nil, nil // it is gone, as was wanted
		}
		end := m.endOf(e, j.Effect, again)
		if len(a.Kill.Steps) > 0 {
			end.Steps = a.Kill.Steps
		}
		end.Group, end.As = end.Group && !a.Kill.OnlySelf, j.Owner
		return end, nil
	}
	return nil, fmt.Errorf("action %q does nothing: %w", a.Name, ErrBadSpec)
}

// aim fills in the process that a signal is for.
func (m *Machine) aim(j *Job, s Signal) (Signal, error) {
	if s.PID != 0 {
		return s, nil
	}
	e := m.look(j.Cause.Entity)
	if e == nil || !e.Alive() {
		return s, fmt.Errorf("cannot signal %s: %w", j.Cause.Entity, errNoProcess)
	}
	s.PID, s.Start = e.Process.PID, e.Process.Start
	return s, nil
}

func (w *WaitFor) nothing() bool { return w.Path == "" && w.TCP == "" && w.Unix == "" && w.HTTP == "" }

func (m *Machine) log(j *Job, l *Log) {
	if m.tx.root.Verbosity < l.Verbosity {
		return
	}
	text := l.Text
	if l.Prefix {
		text = j.path().String() + ": " + text
	}
	m.emit(WriteLog{Path: j.path(), Text: text, Level: l.Verbosity})
}

// chain raises a condition from within an action.
func (m *Machine) chain(j *Job, r *Raise) error {
	if j.Depth >= maxDepth {
		return fmt.Errorf("cannot raise after %d raises: %w", j.Depth, ErrTooDeep)
	}
	if n := m.nested(); j.Depth > 0 && n >= maxNested {
		return fmt.Errorf("cannot raise while %d lists run that raises of raises have led to: %w", n, ErrTooDeep)
	}
	raise := *r
	if raise.Entity == "" {
		raise.Entity = j.Cause.Entity
	}
	e := m.look(raise.Entity)
	if e == nil {
		return fmt.Errorf("cannot raise for %q: %w", raise.Entity, ErrNotFound)
	}
	if !j.Owner.may(e.Owner) {
		return fmt.Errorf("cannot raise for %q: %w", raise.Entity, ErrNotPermitted)
	}
	m.raise(&raise, j.Depth+1)
	return nil
}

// switchPart enables or disables a part of the tree from within an action.
func (m *Machine) switchPart(j *Job, s *Switch, on bool) error {
	path := s.Path
	if path == (Path{}) {
		path.Entity = j.Cause.Entity
	}
	at, err := m.resolve(Handle{Path: path})
	if err != nil {
		return err
	}
	if !j.Owner.may(at.owner()) {
		return fmt.Errorf("cannot switch %s: %w", path, ErrNotPermitted)
	}
	m.enable(at, on, s.Recurse)
	return nil
}

// count brings the counters of an action up to date, if it is still there.
func (m *Machine) count(j *Job, err error) {
	a := m.actionOf(j)
	if a == nil {
		return
	}
	a.Runs++
	if a.LastError = ""; err != nil {
		a.Fails++
		a.LastError = err.Error()
	}
}

// actionOf returns the record of the action that a list is at, to be changed; nil if it is no longer there.
func (m *Machine) actionOf(j *Job) *Action {
	e := m.edit(j.Path.Entity)
	if e == nil || e.Generation != j.Entity {
		return nil
	}
	ci := e.condition(j.Path.Condition)
	if ci < 0 || e.Conditions[ci].Generation != j.Condition {
		return nil
	}
	c := &e.Conditions[ci]
	ai := c.action(j.Actions[j.Step].Spec.Name)
	if ai < 0 || c.Actions[ai].Generation != j.Actions[j.Step].Generation {
		return nil
	}
	return &c.Actions[ai]
}

func (m *Machine) noteAction(j *Job, err error) {
	p := j.path()
	h := Happening{What: HasDone, Entity: p.Entity, Condition: p.Condition, Action: p.Action}
	if err != nil {
		h.What, h.Text = HasFailed, err.Error()
	}
	m.note(h)
}

// failed tells of an action that failed, and removes it unless it is to be kept. One that HAM itself cut short, or its
// budget, or somebody who stopped the entity, is kept: it is not to blame.
func (m *Machine) failed(j *Job, err error) {
	m.noteAction(j, err)
	if errors.Is(err, errAbandoned) {
		return
	}
	m.tx.root.Failed++
	spec := &j.Actions[j.Step].Spec
	if j.Cause.Type != OnActionFailed { // or a failing action would fire it again, for ever
		m.fire(j.Path.Entity, Cause{Type: OnActionFailed, Text: fmt.Sprintf("%s: %v", j.path(), err)}, j.Depth, nil)
	}
	blameless := errors.Is(err, ErrInterrupted) || errors.Is(err, ErrGaveUp)
	if spec.Flags&KeepOnFail == 0 && !blameless && m.actionOf(j) != nil {
		m.dropAction(m.edit(j.Path.Entity), j.Path.Condition, spec.Name)
	}
}

// Raises that lead to raises: how many in a row, and how many lists in flight that more than one in a row has led to. The one ends a chain, the
// other a flood: a list with three raises that fire it again would be there 3^8 times.
const (
	maxDepth  = 8
	maxNested = 256
)

// nested counts the lists in flight that more than one raise in a row has led to.
func (m *Machine) nested() (n int) {
	for j := range m.store.Jobs() {
		if _, touched := m.tx.jobs[j.ID]; !touched && j.Depth > 1 {
			n++
		}
	}
	for _, j := range m.tx.jobs {
		if j != nil && j.Depth > 1 {
			n++
		}
	}
	return n
}

// resumeJob sets an action under way to work again after a takeover, or gives it up.
func (m *Machine) resumeJob(j *Job) {
	a := j.action()
	if a.Restart != nil {
		return // the entity's Spawn is given out again
	}
	if a.Delivers() == AtMostOnce {
		delete(m.flight, j.Effect)
		m.outcome(j, fmt.Errorf("%s was under way: %w", a.Kind(), ErrInterrupted))
		return
	}
	effect, err := m.effectOf(j, a, true)
	if effect == nil {
		delete(m.flight, j.Effect)
		m.outcome(j, err)
		return
	}
	m.emit(effect)
}
