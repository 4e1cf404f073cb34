package pair

import (
	"fmt"
	"time"
)

// Role is what a member of a pair is at present.
type Role uint8

// The roles. A member starts as Joining and ends as Gone; the two in between may follow one another any number of times.
const (
	Joining Role = iota // admitted at most; does not hold the state yet
	Backup              // holds the state up to the last record it read
	Primary             // serves
	Gone                // leaves: stopped, deposed or dropped
)

// String returns the role in lower case.
func (r Role) String() string {
	switch r {
	case Joining:
		return "joining"
	case Backup:
		return "backup"
	case Primary:
		return "primary"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

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

	closing  bool   // the backup is being swapped out of the log; the outcome is still to come
	heir     *event // a process started by hand that waits for the place of a backup of our own
	taking   cause  // while a takeover is under way: why
	proven   bool   // the death of the primary is a fact, not a suspicion
	stopping bool   // the whole pair is to stop
}

// partner is what a primary knows of its backup.
type partner uint8

const (
	alone    partner = iota // none; the next one is started at retryAt
	starting                // a process was started and has not joined yet
	filling                 // admitted; does not hold the whole state yet
	synced                  // said that it holds everything: may take over
)

// cause says why a member was given up.
type cause string

const (
	causeNone     cause = ""
	causeDeath    cause = "death"    // its process ended
	causePanic    cause = "panic"    // it announced that a handler panicked
	causeHang     cause = "hang"     // its progress counter stood still
	causeStopped  cause = "stopped"  // the same, and the kernel says that it was stopped (SIGSTOP)
	causeFull     cause = "full log" // a backup did not drain the log in time
	causeFailed   cause = "failed"   // it said so, or broke the protocol
	causeReplaced cause = "replaced" // a backup of our own made room for one started by hand
	causeSwitch   cause = "switch"   // planned
)

// breath is how long a new primary answers those who waited for it before it spends its processors on a new backup.
const breath = time.Millisecond

// event is something that happened. Only the fields that its kind names are set.
type event struct {
	kind  eventKind
	at    time.Duration // monotonic
	cause cause         // partnerLost, primaryLost
	proof bool          // primaryLost: dead for certain
	won   bool          // swap outcome; drained: the state is whole; fenced: it cannot run any more
	hand  bool          // join: started by hand
	seat  int           // join: which connection asks
	epoch uint32        // becamePrimary, sealed
}

type eventKind uint8

const (
	evFounded     eventKind = iota + 1 // we hold the lock: first primary of a new instance
	evAdmitted                         // the primary took us in as its backup
	evSynced                           // backup: read the record that ends the state. primary: its backup said so
	evPrimaryLost                      // cause, proof
	evFenced                           // won
	evSealed                           // won, epoch
	evDrained                          // won
	evHandedOver                       // backup: the primary handed over; the log is drained. epoch
	evPartnerLost                      // cause
	evClosed                           // won: the backup is swapped out of the log
	evSpawnFailed
	evJoin // seat, hand
	evSwitch
	evStop    // this process is asked to stop the whole pair
	evOrdered // backup: the primary stops the pair
	evTick
)

// effect is something to be done, in the order given.
type effect struct {
	kind effectKind
	seat int
	err  error
}

type effectKind uint8

const (
	doSpawn        effectKind = iota + 1
	doAdmit                   // seat
	doRefuse                  // seat, err
	doCloseLog                // swap the backup out; answer with evClosed
	doDropPartner             // kill and fence what was our backup; close what we hold of it
	doKill                    // SIGKILL to the primary, without waiting
	doFence                   // SIGKILL and wait; answer with evFenced
	doFenceLater              // the same without an answer that anything waits for, but file effects do
	doSeal                    // swap the word; answer with evSealed
	doDrain                   // read the log to its end; answer with evDrained
	doServe                   // we are primary: speak to requesters, go on
	doAdoptPrimary            // after a switch: the old primary becomes our backup, its state is ours
	doHandOver                // primary: finish, swap the word for the backup, become its backup
	doRefuseSwitch            // err
	doStopPartner             // tell the backup to leave and wait for it
	doAskStop                 // ask the primary to stop the pair
	doAckSynced               // tell the primary that we hold everything
	doPublish                 // write the registry page, tell subscribers
	doLeave                   // err: why; nil when planned
)

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
		r.role, r.epoch = Joining, ev.epoch
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
		r.taking = causeNone
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
		return []effect{{kind: doPublish}}
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
		r.closing = false
		out := []effect{{kind: doDropPartner}}
		if heir := r.heir; heir != nil {
			r.heir = nil
			return append(out, r.admit(*heir)...)
		}
		return append(out, r.lost(ev)...)
	case evSwitch:
		if r.partner != synced || r.closing || r.stopping {
			return []effect{{kind: doRefuseSwitch, err: ErrNotSynchronised}}
		}
		r.role, r.partner, r.taking = Joining, alone, causeNone
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
	if r.partner != filling && r.partner != synced {
		return r.admit(ev)
	}
	if r.heir != nil || !r.closing && (r.byHand || !ev.hand) {
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
	return []effect{{kind: doAdmit, seat: ev.seat}, {kind: doPublish}}
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
	return []effect{{kind: doLeave, err: err}}
}
