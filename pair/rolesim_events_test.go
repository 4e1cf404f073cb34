package pair

import (
	"slices"
	"time"

	"pgregory.net/rapid"
)

// What happens in the simulation of rolesim_test.go.

// live lets one thing happen that is no fault: what a process does or notices by itself. It reports whether anything did.
func (s *sim) live(p *simProc) bool {
	if !p.lives() || p.hung {
		return false
	}
	if len(p.todo) > 0 {
		s.deliver(p, -1)
		return true
	}
	if q := p.successor; q != nil && !q.lives() && p.r.successor == called {
		p.successor = nil
		s.post(p, event{kind: evSuccessorLost})
		return true
	}
	switch l := p.log; {
	case p.joining:
		p.joining = false
		if to := p.parent; to == nil || !to.lives() || to.r.role != Primary {
			s.leave(p, ErrNotRunning)
		} else {
			s.post(to, event{kind: evJoin, seat: p.id, chosen: to.successor == p})
		}
		return true
	case p.parent != nil && !p.parent.lives() && p.log == nil && !p.whole: // it had asked, and sees the end of the connection
		s.leave(p, ErrNotRunning)
		return true
	case p.between != nil && p.refused:
		s.leave(p, ErrDropped)
	case p.between != nil && p.offered != nil:
		s.adopted(p)
		return true
	case p.between != nil && p.r.taking == causeNone && (!p.between.reader.lives() || p.between.reader.hung):
		s.post(p, event{kind: evPrimaryLost, cause: causeDeath})
		return true
	case l != nil && l.writer == p && p.r.role == Primary:
		if p.r.partner == filling && !l.whole && l.word == wordLive {
			l.whole = true
			return true
		}
		if !l.reader.lives() || l.reader.hung {
			s.post(p, event{kind: evPartnerLost, cause: causeDeath})
			return true
		}
	case p.r.role == Primary && p.child != nil && !p.child.lives() && p.r.partner == starting:
		p.child = nil
		s.post(p, event{kind: evSpawnFailed})
		return true
	case l != nil && l.reader == p && p.r.taking == causeNone:
		return s.follow(p, l)
	}
	return false
}

// follow is a backup's round.
func (s *sim) follow(p *simProc, l *simLog) bool {
	switch {
	case !l.writer.lives() || l.dropped:
		s.post(p, event{kind: evPrimaryLost, cause: causeDeath, proof: true})
	case l.word == wordClosed:
		s.leave(p, ErrDropped)
	case l.word == wordTakenBack:
		s.leave(p, ErrDropped)
	case l.word == wordHandedOver:
		s.drain(p)
		s.post(p, event{kind: evHandedOver, epoch: l.epoch + 1})
	case l.writer.hung:
		s.post(p, event{kind: evPrimaryLost, cause: causeStopped})
	case l.whole && p.r.role == Joining || l.stop:
		s.drain(p)
	default:
		return false
	}
	return true
}

// chaos lets one thing happen, fault or not.
func (s *sim) chaos() {
	p := rapid.SampledFrom(s.procs).Draw(s.t, "process")
	what := rapid.IntRange(0, 21).Draw(s.t, "what")
	switch what {
	case 0:
		s.kill(p)
	case 1:
		p.hung = !p.hung
		s.note("process %d stopped: %v", p.id, p.hung)
	case 2:
		p.stubborn = !p.stubborn
		s.note("process %d cannot be killed: %v", p.id, p.stubborn)
	case 3:
		if p.lives() && len(p.todo) > 0 && !p.hung {
			s.deliver(p, rapid.IntRange(0, 3).Draw(s.t, "effects before it dies"))
		}
	case 4: // a false alarm of a backup, or of the old primary during a switch
		if p.lives() && (p.log != nil && p.log.reader == p || p.between != nil) {
			s.post(p, event{kind: evPrimaryLost, cause: causeHang})
		}
	case 5: // a false alarm of a primary
		s.post(p, event{kind: evPartnerLost, cause: causeHang})
	case 6:
		s.post(p, event{kind: evSwitch})
	case 7:
		if rapid.IntRange(0, 9).Draw(s.t, "rarely") == 0 {
			s.asked = true
			s.post(p, event{kind: evStop})
		}
	case 8: // the same command in another terminal
		if len(s.procs) < 40 && p.lives() && p.r.role == Primary {
			s.byHand(p)
		}
	case 9:
		s.now += 100 * time.Millisecond
		s.post(p, event{kind: evTick})
	case 10:
		s.now += 10 * time.Second
		s.post(p, event{kind: evTick})
	case 11, 12, 13:
		if p.lives() && !p.hung {
			s.commit(p)
		}
	case 14:
		s.upgrade(p)
	default:
		s.live(p)
	}
	s.check()
}

// byHand starts a process that asks p.
func (s *sim) byHand(p *simProc) {
	q := s.newProc()
	q.parent = p
	s.post(p, event{kind: evJoin, seat: q.id, hand: true})
}

// upgrade asks a process for a newer program than any that there is.
func (s *sim) upgrade(p *simProc) {
	if p.asked == 0 {
		for _, q := range s.procs {
			p.asked = max(p.asked, q.program+1)
		}
	}
	s.post(p, event{kind: evUpgrade})
}

// settle lets everything happen that is still to happen without any fault, in turn.
func (s *sim) settle() {
	until := s.now + time.Minute
	for _, p := range s.procs {
		p.hung, p.stubborn = false, false
	}
	s.note("no more faults")
	for s.run(); s.now < until; s.run() {
		s.now += time.Second
		for _, p := range s.procs {
			if p.lives() && p.r.role == Primary {
				s.post(p, event{kind: evTick})
			}
		}
	}
}

// run lets everybody do what there is to do, which must end.
func (s *sim) run() {
	moved := true
	for n := 0; moved; n++ {
		if n > 1000 {
			s.fail("it never comes to rest")
		}
		moved = false
		for _, p := range slices.Clone(s.procs) {
			moved = s.live(p) || moved
			s.check()
		}
	}
}

func (s *sim) primary() *simProc {
	for _, p := range s.procs {
		if p.holdsTheWord() {
			return p
		}
	}
	return nil
}

// alive tells whether the instance has not ended: a member lives that holds the whole state.
func (s *sim) alive() bool {
	for _, p := range s.procs {
		if p.lives() && (p.whole || p.log != nil && p.log.reader == p && p.log.whole) {
			return true
		}
	}
	return false
}

// mustBeProtected checks that everything is as it should be.
func (s *sim) mustBeProtected() {
	p := s.primary()
	if p == nil {
		s.fail("nobody serves")
	}
	if p.r.partner != synced || p.log == nil || !p.log.reader.lives() || p.log.reader.r.role != Backup {
		s.fail("process %d has no synchronised backup: partner %d, log %+v", p.id, p.r.partner, p.log)
	}
	s.commit(p)
	for _, q := range s.procs {
		if q.lives() && q != p && q != p.log.reader {
			s.fail("process %d is left over: %v", q.id, q.r.role)
		}
	}
}
