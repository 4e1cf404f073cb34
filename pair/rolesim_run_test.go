package pair

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNeverTwoPrimariesAndRedundancyComesBackWhateverHappensInAnyOrder(t *testing.T) {
	t.Parallel()
	runs, ended, protected := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		s := newSim(t)
		s.faulty = true
		for range rapid.IntRange(1, 400).Draw(t, "events") {
			s.chaos()
		}
		s.settle()
		switch {
		case s.asked && s.primary() == nil && !s.alive():
		case !s.asked && s.primary() != nil:
			s.mustBeProtected()
			protected++
		case s.primary() == nil && s.alive():
			s.fail("a member holds the whole state, and nobody serves")
		case s.primary() == nil:
			ended++ // both members at once: not promised
		case !s.stopHeard(): // whoever was asked died before it could tell
			s.mustBeProtected()
		default:
			s.fail("asked to stop, and still there")
		}
	})
	t.Logf("%d runs: %d ended protected, in %d both members were lost at once", runs, protected, ended)
}

// stopHeard tells whether a living member knows that the pair is to stop.
func (s *sim) stopHeard() bool {
	for _, p := range s.procs {
		if p.lives() && p.r.stopping {
			return true
		}
	}
	return false
}

func TestOneFaultAtATimeNeverEndsThePair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		s.settle()
		s.mustBeProtected()
		for range rapid.IntRange(1, 8).Draw(t, "faults") {
			s.oneFault()
			s.faulty = true
			for range rapid.IntRange(0, 30).Draw(t, "events until it is over") {
				s.commit(rapid.SampledFrom(s.procs).Draw(t, "commits"))
				s.live(rapid.SampledFrom(s.procs).Draw(t, "lives"))
				s.check()
			}
			s.settle()
			s.mustBeProtected()
			s.faulty = false
		}
		if most := 3 * len(s.procs); s.spawns > most {
			s.fail("%d processes started for %d members", s.spawns, most)
		}
	})
}

// oneFault hits a pair that is in order.
func (s *sim) oneFault() {
	p := s.primary()
	b := p.log.reader
	hit := p
	if rapid.Bool().Draw(s.t, "the backup") {
		hit = b
	}
	switch rapid.IntRange(0, 6).Draw(s.t, "fault") {
	case 0:
		s.kill(hit)
	case 1:
		hit.hung = true
	case 2:
		s.post(b, event{kind: evPrimaryLost, cause: causeHang})
	case 3:
		s.post(p, event{kind: evPartnerLost, cause: causeHang})
	case 4:
		s.post(p, event{kind: evSwitch})
	case 5:
		s.byHand(p)
	case 6:
		s.upgrade(p)
	}
}

func TestASwitchMayBeInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		s.settle()
		old := s.primary()
		s.post(old, event{kind: evSwitch})
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			s.live(rapid.SampledFrom(s.procs).Draw(t, "lives"))
		}
		victim := rapid.SampledFrom(s.procs).Draw(t, "victim")
		s.kill(victim)
		s.settle()
		s.mustBeProtected()
	})
}

func TestAnUpgradeThatNothingDisturbsReplacesBothHalvesWhoeverStartedThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		s.settle()
		if rapid.Bool().Draw(t, "the backup was started by hand") {
			s.byHand(s.primary())
			s.settle()
		}
		for version := range rapid.IntRange(1, 3).Draw(t, "upgrades") {
			s.upgrade(s.primary())
			s.upgrade(s.primary()) // a second one is refused
			for range rapid.IntRange(0, 20).Draw(t, "steps") {
				s.commit(rapid.SampledFrom(s.procs).Draw(t, "commits"))
				s.live(rapid.SampledFrom(s.procs).Draw(t, "lives"))
				if rapid.IntRange(0, 9).Draw(t, "somebody asks for a switch") == 0 && s.primary() != nil && s.primary().r.successor != noSuccessor {
					s.post(s.primary(), event{kind: evSwitch}) // and is refused
				}
			}
			s.settle()
			s.mustBeProtected()
			p := s.primary()
			if p.program != version+1 || p.log.reader.program != version+1 {
				s.fail("upgraded to program %d, and the primary runs %d, the backup %d", version+1, p.program, p.log.reader.program)
			}
		}
	})
}

// Whoever dies while the pair is protected, at whatever step of an upgrade: it goes on, as one program or the other.
func TestAnUpgradeMayBeInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	unprotected, old, fresh := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		s.settle()
		s.upgrade(s.primary())
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			s.live(rapid.SampledFrom(s.procs).Draw(t, "lives"))
			s.commit(rapid.SampledFrom(s.procs).Draw(t, "commits"))
		}
		victim := rapid.SampledFrom(s.procs).Draw(t, "victim")
		if l := victim.log; victim.r.role == Primary && (l == nil || !l.whole || l.word != wordLive) {
			unprotected++ // the last one that holds the state: not promised
			return
		}
		s.kill(victim)
		s.settle()
		s.mustBeProtected()
		if s.primary().program == 0 {
			old++
		} else {
			fresh++
		}
		if p := s.primary(); p.program < p.log.reader.program {
			s.fail("the backup has a newer program than the primary, and nobody goes on with the upgrade")
		}
	})
	t.Logf("%d ended with the old program, %d with the new one, %d began unprotected", old, fresh, unprotected)
}
