package pair

import (
	"fmt"
	"strings"
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
	program    int      // which version
	successor  *simProc // called, or being filled
	switches   bool     // to the successor, when it holds everything
	asked      int      // to be upgraded to this program; 0: not asked
	state      int      // commits it holds
	whole      bool
	serving    bool
	dead, hung bool
	stubborn   bool // cannot be fenced
	refused    bool // told to leave by the new primary
	gone       error
}

func (p *simProc) lives() bool { return !p.dead && p.r.role != Gone }

// holdsTheWord tells whether p may commit, if it ever gets to run: the one question that matters.
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
	if ev.kind == evSynced && ev.seat > 0 && (p.log == nil || p.log.reader.id+1 != ev.seat) {
		return // its connection was closed meanwhile: nobody reads that
	}
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
	if ev.kind == evSynced && p.successor != nil && p.log != nil && p.log.reader == p.successor && p.r.partner == synced {
		p.successor = nil
		if p.switches { // at once: no other event comes between
			p.todo = append([]event{{kind: evSwitch}}, p.todo...)
		}
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
		p.child.parent, p.child.joining, p.child.program = p, true, p.program
	case doAdmit:
		s.admit(p, s.procs[e.seat], e.chosen)
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
			s.post(l.writer, event{kind: evSynced, seat: p.id + 1}) // by the connection of this very backup
		}
	case doLeave:
		s.leave(p, e.err)
	case doCall:
		s.call(p)
	case doRefuseUpgrade:
		p.asked = 0
	case doDropSuccessor:
		if q := p.successor; q != nil {
			q.dead = true
		}
		p.successor = nil
	}
}

// call starts a successor: of the program that was asked for, or, to replace the other half, of p's own.
func (s *sim) call(p *simProc) {
	q := s.newProc()
	q.parent, q.joining, q.program = p, true, p.program
	if p.switches = p.asked != 0; p.switches {
		q.program, p.asked = p.asked, 0
	}
	p.successor = q
}

func (s *sim) admit(p, joiner *simProc, chosen bool) {
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
	s.post(joiner, event{kind: evAdmitted, epoch: l.epoch, succeeds: chosen && p.switches})
}

func (s *sim) drop(p *simProc) {
	l := p.log
	p.log = nil
	if l == nil {
		if p.child != nil {
			p.child.dead = p.child.dead || !p.child.stubborn
			p.child = nil
		}
		return
	}
	l.dropped = true
	if p.successor == l.reader {
		p.successor = nil
	}
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
