package core

// exited takes in the end of a process.
func (m *Machine) exited(x *Exited) {
	e := m.look(x.Entity)
	if e == nil || e.Process.PID != x.PID || e.Process.Start != x.Start || !e.Alive() || e.paired() {
		return
	}
	m.exit(m.edit(x.Entity), x.Exit)
}

func (m *Machine) exit(e *Entity, exit Exit) {
	if e.Process.Ending <= Condemned {
		m.died(e, exit, e.Process.Why)
	} else {
		m.left(e, exit)
	}
}

// died is called when a process has ended that was not to end.
func (m *Machine) died(e *Entity, exit Exit, text string) {
	p := &e.Process
	pid := p.PID
	e.Deaths++
	e.LastExit, e.Spent.Lived = &exit, m.now.At-p.Since
	if pid == 0 {
		e.Spent.Lived = 0
	}
	m.tx.root.Died++
	m.gone(e)
	p.Phase, p.Want, p.Ending = Dead, false, Stays
	seq := m.note(Happening{What: HasDied, Entity: e.Name, PID: pid, Exit: &exit, Text: text})
	cause := Cause{Seq: seq, Type: OnDeath, PID: pid, Exit: &exit, Text: text}
	jobs := m.fire(e.Name, cause, 0, func(c *Condition) bool {
		return c.Spec.On == OnDeath || c.Spec.On == OnAbnormalDeath && exit.abnormal()
	})
	m.restartDependents(e)
	m.unblock(e)
	for _, j := range jobs {
		if j.Path.Entity == e.Name && j.restarts() {
			p.Reviver = j.ID
			return
		}
	}
	m.drop(e)
}

// left is called when a process has ended that was to end, or could not even be started.
func (m *Machine) left(e *Entity, exit Exit) {
	p := &e.Process
	pid, ending := p.PID, p.Ending
	if pid != 0 {
		e.LastExit = &exit
		m.note(Happening{What: HasStopped, Entity: e.Name, PID: pid, Exit: &exit})
	}
	m.gone(e)
	p.Ending = Stays
	switch ending {
	case ToRestart:
		p.Phase, p.Again = Waiting, true
		m.advance(e)
	case ToDetach:
		m.detached(e)
	case ToRemove:
		m.remove(e)
	default:
		p.Phase = Stopped
	}
	m.unblock(e)
	m.allStopped()
}

// ended takes in the outcome of an End. Exited is what counts, and tells more; but it is not waited for for ever.
func (m *Machine) ended(e *Entity, err error) {
	p := &e.Process
	p.End = 0
	switch {
	case err != nil: // Exited may come all the same
		m.note(Happening{What: HasFailed, Entity: e.Name, PID: p.PID, Text: "cannot be ended: " + err.Error()})
	case !e.paired():
		p.EndedAt = m.now.At + exitWithin
	}
}

// gone clears what was known of a process.
func (m *Machine) gone(e *Entity) {
	p := &e.Process
	if e.Alive() {
		m.unwatchBeats(e)
		if p.Every != 0 {
			m.emit(Sample{Target: e.target()})
		}
	}
	m.unprobe(e)
	delete(m.flight, p.End)
	*p = Process{Want: p.Want, Again: p.Again, Ending: p.Ending, Due: p.Due, Job: p.Job, Command: p.Command}
	e.Kind, e.Client, e.Status, e.Usage = Placeholder, 0, "", nil
}

// drop takes away an entity that has lost its process for good, or makes it a placeholder again.
func (m *Machine) drop(e *Entity) {
	if e.Flags&KeepOnDeath == 0 && !e.Disabled { // one that was switched off is not to vanish while nobody looks after it
		m.remove(e)
		return
	}
	e.Process.Phase = Idle
}

// abnormal reports whether the end was by a signal whose default is a core file, written or not (signal(7)).
func (x *Exit) abnormal() bool {
	switch x.Signal {
	case 3, 4, 5, 6, 7, 8, 11, 24, 25, 31: // QUIT ILL TRAP ABRT BUS FPE SEGV XCPU XFSZ SYS
		return true
	}
	return x.Core
}
