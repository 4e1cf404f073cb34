package pair

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A simulation of one pair: role machines, the commit word between them, processes that die, stop, cannot be killed, are
// suspected without cause, join by hand or are asked to switch and to stop, in any order. What the role machine asks for is
// done as member.perform does it; what it learns arrives as it does there. Whatever happens:
//
//   - at most one process may commit ("holds the word");
//   - whoever begins to serve holds every commit that was ever acknowledged, and the whole state;
//   - nobody kills a primary before it has won the word from it;
//   - once faults stop, a primary serves and has a synchronised backup, or the pair has stopped because it was asked to.

type wordState uint8

const (
	wordLive wordState = iota
	wordSealed
	wordClosed
	wordHandedOver
	wordTakenBack
)

// simLog is one log between two processes, with its commit word.
type simLog struct {
	epoch          uint32
	word           wordState
	writer, reader *simProc
	pos            int  // commits in it, counted from the beginning of the instance
	whole          bool // the record that ends the state is in it
	stop           bool // the record that stops the pair is
	dropped        bool // the writer has closed the connection
	sent           bool // to the process that is to follow it
}

func (l *simLog) swap(from, to wordState) bool {
	if l.word == from {
		l.word = to
	}
	return l.word == to
}

// simProc is one process.
type simProc struct {
	id         int
	r          roles
	todo       []event
	log        *simLog // as writer or reader
	between    *simLog
	offered    *simLog // sent by the new primary of a switch
	parent     *simProc
	child      *simProc // started and not joined yet
	joining    bool
	state      int // commits it holds
	whole      bool
	serving    bool
	dead, hung bool
	stubborn   bool // cannot be fenced
	refused    bool // told to leave by the new primary
	gone       error
}

func (p *simProc) lives() bool { return !p.dead && p.r.role != Gone }

// primary tells whether p may commit, if it ever gets to run: the one question that matters.
func (p *simProc) holdsTheWord() bool {
	return p.lives() && p.serving && (p.log == nil || p.log.writer == p && p.log.word == wordLive)
}

type sim struct {
	t       *rapid.T
	procs   []*simProc
	now     time.Duration
	commits int  // acknowledged
	faulty  bool // system calls may fail
	asked   bool
	spawns  int
	trace   []string
}

func newSim(t *rapid.T) *sim {
	s := &sim{t: t}
	p := s.newProc()
	p.whole = true
	s.post(p, event{kind: evFounded, epoch: 1})
	return s
}

func (s *sim) newProc() *simProc {
	p := &simProc{id: len(s.procs), r: roles{spawning: true, joinBy: joinWithin}}
	s.procs = append(s.procs, p)
	return p
}

func (s *sim) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

func (s *sim) fail(format string, args ...any) {
	s.t.Fatalf("broken promise: %s\n%s", fmt.Sprintf(format, args...), strings.Join(s.trace, "\n"))
}

func (s *sim) post(p *simProc, ev event) { p.todo = append(p.todo, ev) }

// deliver steps the next event of p. dieAfter: SIGKILL after so many effects; negative: none.
func (s *sim) deliver(p *simProc, dieAfter int) {
	ev := p.todo[0]
	p.todo = p.todo[1:]
	ev.at = s.now
	effects := p.r.step(ev)
	if ev.kind != evTick || len(effects) > 0 {
		s.note("%v process %d: event %d (won %v, proof %v, hand %v) -> %v/%d, effects %v", s.now, p.id, ev.kind, ev.won, ev.proof, ev.hand, p.r.role, p.r.partner, kinds(effects))
	}
	for i, e := range effects {
		if i == dieAfter {
			s.kill(p)
		}
		if p.dead || p.gone != nil {
			break
		}
		s.perform(p, e)
		s.check()
	}
	s.check()
}

func kinds(effects []effect) (k []effectKind) {
	for _, e := range effects {
		k = append(k, e.kind)
	}
	return k
}

func (s *sim) kill(p *simProc) {
	s.note("process %d dies", p.id)
	p.dead = true
}

func (s *sim) leave(p *simProc, err error) {
	s.note("process %d leaves: %v", p.id, err)
	p.r.role, p.gone = Gone, err
}

func (s *sim) perform(p *simProc, e effect) {
	switch e.kind {
	case doSpawn:
		s.spawns++
		p.child = s.newProc()
		p.child.parent, p.child.joining = p, true
	case doAdmit:
		s.admit(p, s.procs[e.seat])
	case doRefuse:
		s.leave(s.procs[e.seat], e.err)
	case doCloseLog:
		s.post(p, event{kind: evClosed, won: p.log == nil || p.log.swap(wordLive, wordClosed)})
	case doDropPartner:
		s.drop(p)
	case doKill:
		if l := p.log; l.word != wordSealed || l.reader != p {
			s.fail("process %d kills a primary that it has not won the word from", p.id)
		} else if !l.writer.stubborn {
			l.writer.dead = true
		}
	case doFence:
		l := p.log
		who := (*simProc)(nil)
		if l != nil {
			who = l.writer
		} else {
			who = p.between.reader
		}
		if !who.stubborn {
			who.dead = true
		}
		s.post(p, event{kind: evFenced, won: !who.stubborn})
	case doSeal:
		s.seal(p)
	case doDrain:
		s.drain(p)
		s.post(p, event{kind: evDrained, won: p.whole})
	case doServe:
		s.serve(p)
	case doHandOver:
		l := p.log
		if !l.swap(wordLive, wordHandedOver) {
			s.leave(p, ErrDeposed)
			return
		}
		p.between, p.log, p.serving, p.whole = l, nil, false, true
	case doAdoptPrimary:
		s.adopt(p)
	case doStopPartner:
		s.stopPartner(p)
	case doAskStop:
		if l := p.log; l != nil && l.writer.lives() {
			s.post(l.writer, event{kind: evStop})
		}
	case doAckSynced:
		p.whole = true
		if l := p.log; l.writer.log == l {
			s.post(l.writer, event{kind: evSynced})
		}
	case doLeave:
		s.leave(p, e.err)
	}
}

func (s *sim) admit(p, joiner *simProc) {
	if !joiner.lives() {
		s.post(p, event{kind: evPartnerLost})
		return
	}
	if p.log != nil {
		s.fail("process %d admits a backup and has one", p.id)
	}
	l := &simLog{epoch: p.r.epoch, writer: p, reader: joiner, pos: p.state, sent: true}
	p.log, joiner.log, joiner.joining = l, l, false
	if p.child == joiner {
		p.child = nil
	}
	s.post(joiner, event{kind: evAdmitted, epoch: l.epoch})
}

func (s *sim) drop(p *simProc) {
	l := p.log
	p.log = nil
	if l == nil {
		if p.child != nil {
			p.child.dead = !p.child.stubborn
			p.child = nil
		}
		return
	}
	l.dropped = true
	if !l.reader.stubborn {
		l.reader.dead = true
	}
}

func (s *sim) seal(p *simProc) {
	if l := p.between; l != nil {
		if l.swap(wordHandedOver, wordTakenBack) {
			s.post(p, event{kind: evSealed, won: true, epoch: l.epoch + 2})
			return
		}
		if p.offered != nil { // the new primary served, and died
			p.r.taking = causeNone
			s.adopted(p)
			return
		}
		s.post(p, event{kind: evSealed})
		return
	}
	won := p.log.swap(wordLive, wordSealed) || p.log.swap(wordHandedOver, wordSealed)
	s.post(p, event{kind: evSealed, won: won, epoch: p.log.epoch + 1})
}

// drain reads the log to its end.
func (s *sim) drain(p *simProc) {
	l := p.log
	if l == nil {
		return // after a switch that was taken back: it never forgot
	}
	p.state = l.pos
	if l.whole && p.r.role == Joining {
		p.whole = true
		s.post(p, event{kind: evSynced})
	}
	if l.stop {
		s.post(p, event{kind: evOrdered})
	}
}

func (s *sim) serve(p *simProc) {
	if p.log != nil && p.log.reader == p {
		p.log = nil
	}
	p.between, p.serving = nil, true
	switch {
	case !p.whole:
		s.fail("process %d serves without the whole state", p.id)
	case p.state != s.commits:
		s.fail("process %d serves with %d commits of %d acknowledged", p.id, p.state, s.commits)
	}
}

// adopt is what a new primary does after a switch.
func (s *sim) adopt(p *simProc) {
	old := p.log
	p.log = nil
	sent := !s.faulty || !rapid.Bool().Draw(s.t, "the new log cannot be sent")
	l := &simLog{epoch: p.r.epoch, writer: p, reader: old.writer, pos: p.state, whole: true, sent: sent}
	if sent {
		old.writer.offered = l
	}
	if !old.swap(wordHandedOver, wordSealed) {
		s.leave(p, ErrDeposed)
		return
	}
	if !sent {
		old.writer.refused = true
		s.post(p, event{kind: evPartnerLost})
		return
	}
	p.log = l
}

// adopted is what the old primary of a switch does with the log of the new one.
func (s *sim) adopted(p *simProc) {
	p.log, p.between, p.offered = p.offered, nil, nil
	s.post(p, event{kind: evAdmitted, epoch: p.log.epoch})
	s.post(p, event{kind: evSynced})
}

func (s *sim) stopPartner(p *simProc) {
	l := p.log
	if l == nil {
		s.drop(p)
		return
	}
	l.stop = l.stop || l.word == wordLive
	if b := l.reader; b.lives() && !b.hung && l.word == wordLive {
		s.leave(b, nil)
	}
	if l.swap(wordLive, wordClosed) && !l.reader.stubborn {
		l.reader.dead = true
	}
}

// commit lets p acknowledge a request, if it can.
func (s *sim) commit(p *simProc) {
	if !p.serving || p.r.role != Primary || p.r.closing { // closing: it is in the middle of a step
		return
	}
	if l := p.log; l != nil {
		if l.word != wordLive {
			s.leave(p, ErrDeposed)
			return
		}
		l.pos++
	}
	p.state++
	if s.commits++; p.state != s.commits {
		s.fail("process %d acknowledges commit %d, the %dth of all", p.id, p.state, s.commits)
	}
}

func (s *sim) check() {
	holders := 0
	for _, p := range s.procs {
		if p.holdsTheWord() {
			holders++
		}
	}
	if holders > 1 {
		s.fail("%d processes may commit", holders)
	}
}

// live lets one thing happen that is no fault: what a process does or notices by itself. It reports whether anything did.
func (s *sim) live(p *simProc) bool {
	if !p.lives() || p.hung {
		return false
	}
	if len(p.todo) > 0 {
		s.deliver(p, -1)
		return true
	}
	switch l := p.log; {
	case p.joining:
		p.joining = false
		if to := p.parent; to == nil || !to.lives() || to.r.role != Primary {
			s.leave(p, ErrNotRunning)
		} else {
			s.post(to, event{kind: evJoin, seat: p.id})
		}
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
	what := rapid.IntRange(0, 19).Draw(s.t, "what")
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
			q := s.newProc()
			s.post(p, event{kind: evJoin, seat: q.id, hand: true})
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
	default:
		s.live(p)
	}
	s.check()
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

func TestNeverTwoPrimariesAndRedundancyComesBackWhateverHappensInAnyOrder(t *testing.T) {
	t.Parallel()
	ended := 0
	rapid.Check(t, func(t *rapid.T) {
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
	switch rapid.IntRange(0, 5).Draw(s.t, "fault") {
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
		s.post(p, event{kind: evJoin, seat: s.newProc().id, hand: true})
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

var errSimulated = errors.New("simulated")

func TestARefusalIsPlannedOrSaysWhy(t *testing.T) {
	t.Parallel()
	for _, err := range []error{ErrThirdMember, ErrNotPrimary, ErrWrongInstance, ErrVersion, ErrNotSynchronised, ErrStopping} {
		code, text := refusalCode(fmt.Errorf("because: %w", err))
		got := refusal(code, text)
		if errors.Is(err, ErrNotPrimary) {
			err = errRetry // looked for again
		}
		if !errors.Is(got, err) {
			t.Errorf("broken promise: %v arrives as %v", err, got)
		}
	}
	code, text := refusalCode(errSimulated)
	if got := refusal(code, text); !strings.Contains(got.Error(), errSimulated.Error()) {
		t.Errorf("broken promise: a refusal says why, not %q", got)
	}
}
