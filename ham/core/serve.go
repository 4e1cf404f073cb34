package core

import "fmt"

// request does what a client wants, or answers why not; then nothing has changed.
func (m *Machine) request(r *Request) {
	reply, err := m.serve(r)
	if err != nil {
		m.out = m.out[:0]
		m.tx.begin(m.store.Root()) // refusals come before anything that is not in there
		reply = Reply{Err: err}
	}
	reply.ID = r.ID
	m.emit(reply)
}

func (m *Machine) serve(r *Request) (Reply, error) {
	switch {
	case r.Attach != nil:
		return m.attach(r.By, r.Attach)
	case r.Detach != nil:
		return m.detach(r.By, r.Detach)
	case r.Declare != nil:
		return m.declare(r.By, r.Declare)
	case r.Remove != nil:
		return m.removePart(r.By, r.Remove)
	case r.Control != nil:
		return m.control(r.By, r.Control)
	case r.State != nil:
		return m.stateRequest(r.By, r.State)
	case r.Raise != nil:
		return m.raiseRequest(r.By, r.Raise)
	case r.Beat != nil:
		return m.beatRequest(r.By, r.Beat)
	}
	return Reply{}, fmt.Errorf("an empty request: %w", ErrBadSpec)
}

func (m *Machine) stateRequest(by Peer, r *ReportState) (Reply, error) {
	at, err := m.resolve(Handle{Path: Path{Entity: r.Entity.Entity}, Generation: r.Entity.Generation})
	if err == nil {
		err = mayReport(by, at.e)
	}
	if err == nil && at.e.Name == Global {
		err = fmt.Errorf("the global entity has no state: %w", ErrBadSpec)
	}
	if err != nil {
		return Reply{}, err
	}
	m.reportState(at.e, r.State)
	return Reply{Handle: at.handle()}, nil
}

func (m *Machine) raiseRequest(by Peer, r *Raise) (Reply, error) {
	at, err := m.find(Handle{Path: Path{Entity: r.Entity}})
	if err == nil {
		err = mayReport(by, at.e)
	}
	if err != nil {
		return Reply{}, err
	}
	raise := *r
	raise.Entity = at.e.Name
	m.raise(&raise, 0)
	return Reply{Handle: at.handle()}, nil
}

func (m *Machine) beatRequest(by Peer, r *Beat) (Reply, error) {
	at, err := m.find(r.Entity)
	if err == nil {
		err = mayReport(by, at.e)
	}
	if err == nil && at.e.Pulse.State == Unwatched {
		err = fmt.Errorf("%s has promised no heartbeats, or has no process: %w", at.e.Name, ErrNotRunning)
	}
	if err != nil {
		return Reply{}, err
	}
	m.beat(at.e.Name, 0)
	return Reply{Handle: at.handle()}, nil
}

// control does a control verb.
func (m *Machine) control(by Peer, r *Control) (Reply, error) {
	switch r.Verb {
	case VerbositySet, VerbosityIncr, VerbosityDecr, VerbosityGet:
		return m.verbosity(by, r)
	case StopAll:
		if !by.Admin {
			return Reply{}, fmt.Errorf("only administrators may stop everything: %w", ErrNotPermitted)
		}
		m.stopAll()
		return Reply{}, nil
	case GetFlags:
		at, err := m.find(r.Path)
		if err != nil {
			return Reply{}, err
		}
		return Reply{Handle: at.handle(), Value: int64(at.flags())}, nil
	}
	at, err := m.mine(by, r.Path)
	if err != nil {
		return Reply{}, err
	}
	switch r.Verb {
	case Enable, Disable:
		m.enable(at, r.Verb == Enable, r.Recurse)
	case AddFlags, RemoveFlags, SetFlags:
		err = m.changeFlags(at, r.Verb, r.Flags)
	case StartProcess, StopProcess, RestartProcess:
		err = m.controlProcess(at, r.Verb)
	default:
		err = fmt.Errorf("%v is no verb for %s: %w", r.Verb, at.handle().Path, ErrBadSpec)
	}
	return Reply{Handle: at.handle()}, err
}

func (m *Machine) verbosity(by Peer, r *Control) (Reply, error) {
	if r.Verb != VerbosityGet && !by.Admin {
		return Reply{}, fmt.Errorf("only administrators may change the verbosity: %w", ErrNotPermitted)
	}
	v := &m.tx.root.Verbosity
	switch r.Verb {
	case VerbositySet:
		*v = r.Value
	case VerbosityIncr:
		*v += r.Value
	case VerbosityDecr:
		*v -= r.Value
	}
	*v = max(*v, 0)
	return Reply{Value: int64(*v)}, nil
}

// enable switches a part of the tree on or off.
func (m *Machine) enable(at spot, on, recurse bool) {
	switch {
	case at.ai >= 0:
		at.action().Disabled = !on
	case at.ci >= 0:
		at.condition().enable(on, recurse)
	default:
		at.e.Disabled = !on
		for i := range at.e.Conditions {
			if recurse {
				at.e.Conditions[i].enable(on, true)
			}
		}
	}
	m.changed(at, map[bool]string{true: "enabled", false: "disabled"}[on])
}

func (c *Condition) enable(on, recurse bool) {
	c.Disabled = !on
	for i := range c.Actions {
		if recurse {
			c.Actions[i].Disabled = !on
		}
	}
}

func (s spot) flags() uint32 {
	switch {
	case s.ai >= 0:
		return uint32(s.action().Spec.Flags)
	case s.ci >= 0:
		return uint32(s.condition().Spec.Flags)
	}
	return uint32(s.e.Flags)
}

// changeFlags changes the flags of a part. What the flags would not allow at its declaration they do not allow now.
func (m *Machine) changeFlags(at spot, verb Verb, flags uint32) error {
	now := at.flags()
	switch verb {
	case AddFlags:
		flags |= now
	case RemoveFlags:
		flags = now &^ flags
	}
	switch {
	case at.ai >= 0:
		if ActionFlags(flags)&DoNow != 0 && ActionFlags(now)&DoNow == 0 {
			return fmt.Errorf("DoNow is for a declaration only: %w", ErrBadSpec)
		}
		at.action().Spec.Flags = ActionFlags(flags)
	case at.ci >= 0:
		at.condition().Spec.Flags = ConditionFlags(flags)
	default:
		at.e.Flags = EntityFlags(flags)
	}
	m.changed(at, fmt.Sprintf("flags %#x", flags))
	return m.checkEntity(at.e)
}

// controlProcess does the verbs that start and stop.
func (m *Machine) controlProcess(at spot, verb Verb) error {
	e, p := at.e, &at.e.Process
	switch {
	case at.ci >= 0 || e.Name == Global:
		return fmt.Errorf("%s has no process to %v: %w", at.handle().Path, verb, ErrBadSpec)
	case verb != StopProcess && m.tx.root.Stopping:
		return fmt.Errorf("cannot %v %s: %w", verb, e.Name, ErrStopping)
	case verb != StopProcess && len(e.Settings.Command.Argv) == 0:
		return fmt.Errorf("cannot %v %s: it has no command: %w", verb, e.Name, ErrBadSpec)
	case verb == StopProcess && !e.Alive() && !p.pending():
		return fmt.Errorf("cannot stop %s: %w", e.Name, ErrNotRunning)
	}
	switch {
	case verb == StopProcess:
		m.stop(e, ToStop)
	case verb == RestartProcess && e.Alive() && p.Ending < ToRestart:
		m.stop(e, ToRestart)
	default:
		m.start(e)
	}
	return nil
}

// changed tells of a change of the tree.
func (m *Machine) changed(at spot, text string) {
	p := at.handle().Path
	m.note(Happening{What: HasChanged, Entity: p.Entity, Condition: p.Condition, Action: p.Action, Text: text})
}
