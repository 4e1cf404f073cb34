package pair

import "time"

// roles is the state machine of one member: who it is, what it knows of the other, what is to be done next. It is pure:
// events in, effects out. Time arrives with the events; everything it wants done it returns.
//
// The machine never decides who is primary: the commit word does (design §6). It asks for a swap of that word (seal,
// closeLog, handOver) and learns the outcome as the next event. Whoever loses the swap leaves.
type roles struct {
	role     Role
	epoch    uint32
	spawning bool // members start backups by themselves
	joinBy   time.Duration

	partner partner
	byHand  bool          // the partner was started by a person or a supervisor, not by us
	budget  budget        // of backups that this primary started
	retryAt time.Duration // when partner is none: when to start the next one
	since   time.Duration // when partner last changed

	closing   bool          // the backup is being swapped out of the log; the outcome is still to come
	heir      *event        // a process that waits for the place of the backup that is being swapped out
	successor successor     // of the backup: an upgrade is under way
	calledAt  time.Duration // when the successor was started
	succeeds  bool          // this process is a successor: when it is primary, the other member is to be replaced as well
	handed    bool          // it has handed over, and holds the state; the log of the new primary is still to come
	taking    cause         // while a takeover is under way: why
	proven    bool          // the death of the primary is a fact, not a suspicion
	stopping  bool          // the whole pair is to stop
}

// breath is how long a new primary answers those who waited for it before it spends its processors on a new backup.
const breath = time.Millisecond

// step advances the machine by one event.
func (r *roles) step(ev event) []effect {
	if r.role == Gone {
		return nil
	}
	switch ev.kind {
	case evFounded:
		r.role, r.epoch = Primary, ev.epoch
		return append([]effect{{kind: doServe}}, r.restore(ev.at)...)
	case evAdmitted:
		r.role, r.epoch, r.succeeds, r.handed = Joining, ev.epoch, ev.succeeds, false
		if r.stopping { // asked for while there was no primary to be asked: during a switch
			return []effect{{kind: doAskStop}}
		}
		return nil
	case evStop:
		return r.stop()
	}
	if r.role == Primary {
		return r.stepPrimary(ev)
	}
	return r.stepBackup(ev)
}

// stepBackup handles what happens to a member that is not primary.
func (r *roles) stepBackup(ev event) []effect {
	switch ev.kind {
	case evSynced:
		if r.role != Joining {
			return nil
		}
		r.role = Backup
		if r.taking != causeNone { // read while draining: nobody is left to be told
			return nil
		}
		return []effect{{kind: doAckSynced}, {kind: doPublish}}
	case evPrimaryLost:
		if r.taking != causeNone {
			return nil // the same news twice (nonstop.md §12.1, 8)
		}
		if r.role == Joining && !r.handed && !ev.proof {
			return nil // who cannot take over must not end the only one that holds the state: it may be late only
		}
		r.taking, r.proven = ev.cause, ev.proof
		if ev.proof {
			// What follows the seal is harmless to the dying: its commits are refused, and requesters drop what
			// it still answers. So answering them need not wait for the fence; file effects do (design §7).
			return []effect{{kind: doSeal}}
		}
		return []effect{{kind: doFence}}
	case evFenced:
		if r.taking == causeNone || r.proven {
			return nil
		}
		if !ev.won { // a process that cannot be fenced is never taken over from
			r.taking = causeNone
			return nil
		}
		return []effect{{kind: doSeal}}
	case evSealed:
		if !ev.won {
			return r.leave(ErrDropped)
		}
		r.epoch = ev.epoch
		if r.proven { // only now: a backup that was swapped out must not kill a primary that goes on without it
			return []effect{{kind: doKill}, {kind: doDrain}}
		}
		return []effect{{kind: doDrain}}
	case evDrained:
		if !ev.won { // a double failure: half a state must not serve (nonstop.md §9.1)
			return r.leave(ErrNotSynchronised)
		}
		r.role = Primary
		out := []effect{{kind: doServe}}
		if r.proven {
			out = append(out, effect{kind: doFenceLater})
		}
		r.taking, r.succeeds = causeNone, false // who is dead need not be replaced
		if r.stopping {
			return append(out, r.pendingStop()...)
		}
		r.retryAt = ev.at + breath
		return append(out, r.restore(ev.at)...)
	case evHandedOver:
		if r.role != Backup {
			return r.leave(ErrNotSynchronised)
		}
		r.role, r.epoch, r.taking = Primary, ev.epoch, causeNone
		r.partner, r.byHand, r.since = filling, true, ev.at
		return append([]effect{{kind: doAdoptPrimary}, {kind: doServe}, {kind: doPublish}}, r.pendingStop()...)
	case evOrdered:
		return r.leave(nil)
	case evJoin:
		return []effect{{kind: doRefuse, seat: ev.seat, err: ErrNotPrimary}}
	case evSwitch:
		return []effect{{kind: doRefuseSwitch, err: ErrNotPrimary}}
	case evUpgrade:
		return []effect{{kind: doRefuseUpgrade, err: ErrNotPrimary}}
	}
	return nil
}

// stepPrimary handles what happens to a primary.
func (r *roles) stepPrimary(ev event) []effect {
	switch ev.kind {
	case evJoin:
		return r.join(ev)
	case evSynced:
		if r.partner != filling {
			return nil
		}
		r.partner, r.since = synced, ev.at
		r.budget.healthy(ev.at)
		if r.successor == taken {
			r.successor = noSuccessor
		}
		out := []effect{{kind: doPublish}}
		if r.succeeds && !r.closing {
			r.succeeds = false
			return append(out, r.call(ev.at)...)
		}
		return out
	case evSpawnFailed:
		if r.partner != starting {
			return nil
		}
		return r.lost(ev)
	case evPartnerLost:
		switch r.partner {
		case filling, synced:
			return r.closeLog() // the rest when the swap is known: evClosed
		case starting:
			return r.lost(ev)
		}
	case evClosed:
		if !ev.won { // it took over: we are the past
			return r.leave(ErrDeposed)
		}
		r.closing, r.succeeds = false, false
		out := []effect{{kind: doDropPartner}}
		failed := r.successor == taken
		if failed {
			r.successor = noSuccessor
		}
		if heir := r.heir; heir != nil {
			r.heir = nil
			return append(out, r.admit(*heir)...)
		}
		if failed { // the fault of the other program: a backup of our own is not to wait for it
			r.partner, r.byHand, r.since, r.retryAt = alone, false, ev.at, ev.at
			return append(out, r.restore(ev.at)...)
		}
		return append(out, r.lost(ev)...)
	case evUpgrade:
		return r.upgrade(ev)
	case evSuccessorLost:
		if r.successor == called {
			r.successor = noSuccessor
			return []effect{{kind: doPublish}}
		}
	case evSwitch:
		if r.successor != noSuccessor {
			return []effect{{kind: doRefuseSwitch, err: ErrUpgrading}}
		}
		if r.partner != synced || r.closing || r.stopping {
			return []effect{{kind: doRefuseSwitch, err: ErrNotSynchronised}}
		}
		r.role, r.partner, r.taking, r.handed = Joining, alone, causeNone, true
		return []effect{{kind: doHandOver}}
	case evTick:
		return r.tick(ev.at)
	}
	return nil
}

// join decides on a process that wants to be the backup.
func (r *roles) join(ev event) []effect {
	if r.stopping {
		return []effect{{kind: doRefuse, seat: ev.seat, err: ErrStopping}}
	}
	if ev.chosen && r.successor != called {
		return []effect{{kind: doRefuse, seat: ev.seat, err: ErrThirdMember}}
	}
	if r.partner != filling && r.partner != synced {
		return r.admit(ev)
	}
	if r.heir != nil || !r.closing && !ev.chosen && (r.byHand || !ev.hand) {
		return []effect{{kind: doRefuse, seat: ev.seat, err: ErrThirdMember}}
	}
	// One started by hand takes the place of a backup that we started: so the same command in a second terminal, or
	// a supervisor's restart of the half it knows, ends up as a member and not as an error. Whoever comes while a
	// backup is being given up takes its place in any case.
	r.heir = &ev
	return r.closeLog()
}

// closeLog swaps the backup out of the log, once.
func (r *roles) closeLog() []effect {
	if r.closing {
		return nil
	}
	r.closing = true
	return []effect{{kind: doCloseLog}}
}

func (r *roles) admit(ev event) []effect {
	r.partner, r.byHand, r.since = filling, ev.hand, ev.at
	if ev.chosen {
		r.successor = taken
	}
	return []effect{{kind: doAdmit, seat: ev.seat, chosen: ev.chosen}, {kind: doPublish}}
}

// upgrade decides on the wish for a successor. A pair that is not protected has other worries.
func (r *roles) upgrade(ev event) []effect {
	refuse := func(err error) []effect { return []effect{{kind: doRefuseUpgrade, err: err}} }
	switch {
	case r.stopping:
		return refuse(ErrStopping)
	case r.successor != noSuccessor:
		return refuse(ErrUpgrading)
	case r.partner != synced || r.closing:
		return refuse(ErrNotSynchronised)
	}
	return r.call(ev.at)
}

func (r *roles) call(now time.Duration) []effect {
	r.successor, r.calledAt = called, now
	return []effect{{kind: doCall}}
}

// lost notes that there is no backup any more and plans the next one.
func (r *roles) lost(ev event) []effect {
	r.partner, r.byHand, r.since = alone, false, ev.at
	r.retryAt = ev.at + r.budget.failed(ev.at)
	return r.restore(ev.at)
}

// restore starts a new backup if one is due.
func (r *roles) restore(now time.Duration) []effect {
	out := []effect{{kind: doPublish}}
	if r.spawning && !r.stopping && r.partner == alone && now >= r.retryAt {
		r.partner, r.since = starting, now
		out = append(out, effect{kind: doSpawn})
	}
	return out
}

func (r *roles) tick(now time.Duration) []effect {
	switch {
	case r.successor == called && now-r.calledAt > r.joinBy:
		r.successor = noSuccessor
		return []effect{{kind: doDropSuccessor}}
	case r.partner == starting && now-r.since > r.joinBy:
		return append([]effect{{kind: doDropPartner}}, r.lost(event{at: now, cause: causeFailed})...)
	case r.partner == alone && r.spawning && !r.stopping && now >= r.retryAt:
		return r.restore(now)
	}
	return nil
}

// stop ends the whole pair. Only a primary can; a backup asks it to, each time it is asked itself, and does so itself if it
// becomes primary first.
func (r *roles) stop() []effect {
	r.stopping = true
	if r.role != Primary {
		return []effect{{kind: doAskStop}}
	}
	return r.pendingStop()
}

func (r *roles) pendingStop() []effect {
	if !r.stopping {
		return nil
	}
	if r.partner == alone {
		return r.leave(nil)
	}
	return append([]effect{{kind: doStopPartner}}, r.leave(nil)...)
}

func (r *roles) leave(err error) []effect {
	r.role = Gone
	if r.successor == called {
		return []effect{{kind: doDropSuccessor}, {kind: doLeave, err: err}}
	}
	return []effect{{kind: doLeave, err: err}}
}
