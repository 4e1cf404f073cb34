package pair

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// takeover is the record of one change of roles: why, and how long every phase took from the moment it was noticed.
type takeover struct {
	planned  bool
	cause    cause
	evidence string
	wall     time.Time
	noticed  time.Duration // monotonic

	fenced, sealed, drained, serving, firstReply, restored time.Duration // since noticed; 0: not yet

	records   int
	announced bool // the primary ends by itself
}

// fenceWithin is how long a process may take to die before that is called a failure.
const fenceWithin = 2 * time.Second

// panicGrace is how long a primary that announced its end may take to print why.
const panicGrace = 500 * time.Millisecond

// primaryDied begins a takeover: the kernel, or the primary itself, says that it is over.
func (m *member) primaryDied(l *link) {
	if cause, text := l.page.heard(); cause == announcedPanic {
		m.noticed(causePanic, text, true)
		return
	}
	m.noticed(causeDeath, "robust futex", true)
}

func (m *member) noticed(c cause, evidence string, proof bool) {
	if m.roles.taking != causeNone {
		return
	}
	if proof {
		m.comeFirst()
	}
	m.takeover = &takeover{cause: c, evidence: evidence, wall: time.Now(), noticed: m.now, announced: c == causePanic}
	m.step(event{kind: evPrimaryLost, cause: c, proof: proof})
}

func (t *takeover) since(c *clock) time.Duration { return max(c.now()-t.noticed, 1) }

// killPrimary sends the signal that cannot be refused, without waiting. One that announced its end is left alone for
// now: it has something to print.
func (m *member) killPrimary() {
	if m.takeover.announced {
		return
	}
	_ = m.link.peer.Signal(unix.SIGKILL)
}

// fencePrimary kills a primary that is only suspected, and waits for the proof.
func (m *member) fencePrimary() {
	t, l := m.takeover, m.link
	if l == nil {
		l = m.between
	} else if l.reader.State() == checkpoint.Closed { // it lives, and has just given us up
		m.leave(ErrDropped)
		return
	}
	err := l.peer.Fence(fenceWithin)
	if err != nil {
		m.log.Error("THE PRIMARY CANNOT BE FENCED: nothing is taken over from it", "pid", l.peerID.PID,
			"cause", t.cause, "evidence", t.evidence, "error", err)
	}
	t.fenced = t.since(&m.clock)
	m.step(event{kind: evFenced, won: err == nil})
}

// fenceLater proves, beside the serving, that no instruction of the old primary can run. Until then no external effect
// is done.
func (m *member) fenceLater() {
	t, peer := m.takeover, m.dying
	m.dying = nil
	m.effects.pending.Add(1)
	m.helpers.Go(func() {
		defer peer.Close()
		if t.announced {
			waitSilent(peer, panicGrace)
		}
		for {
			err := peer.Fence(fenceWithin)
			if err == nil || m.closing.Load() {
				break
			}
			m.log.Error("THE OLD PRIMARY CANNOT BE FENCED: external effects wait", "pid", peer.ID().PID, "error", err)
		}
		fenced := t.since(&m.clock)
		m.effects.lift()
		m.mail.post(func() {
			t.fenced = fenced
			m.publish()
		})
	})
}

// awaitFence returns when the old primary is known to be silent, or false if this member leaves. Nobody but the old primary's
// clients has to wait for that.
func (m *member) awaitFence() bool {
	for !m.effects.open() && !m.closing.Load() {
		m.mu.Unlock()
		select {
		case <-m.effects.opened:
		case <-time.After(fenceLook):
		}
		m.mu.Lock()
		m.beat()
	}
	m.now = m.clock.now()
	return !m.left
}

// fenceLook is the time between two signs of life of a primary that waits for a fence.
const fenceLook = 20 * time.Millisecond

// waitSilent gives a process time to end by itself.
func waitSilent(p interface{ Silent() (bool, error) }, within time.Duration) {
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if silent, err := p.Silent(); silent || err != nil {
			return
		}
	}
}

// seal swaps the word that decides who is primary.
func (m *member) seal() {
	epoch, err := m.sealOrTakeBack()
	m.takeover.sealed = m.takeover.since(&m.clock)
	if err != nil && m.between != nil && m.adoptLate() {
		return
	}
	if err != nil {
		m.log.Error("cannot take over", "cause", err)
	}
	m.step(event{kind: evSealed, won: err == nil, epoch: epoch})
}

func (m *member) sealOrTakeBack() (uint32, error) {
	if m.between != nil {
		return m.between.writer.TakeBack()
	}
	epoch, err := m.link.reader.Seal()
	if err == nil { // it may have died in the middle of handing over
		err = m.link.reader.Confirm()
	}
	return epoch, err
}

// drainAll reads what the old primary has committed, to the end.
func (m *member) drainAll() {
	t := m.takeover
	if l := m.link; l != nil {
		for m.readControl(l) { // all: the dead cannot send a connection again
		}
		for n := m.drain(l, drainMax); n > 0; n = m.drain(l, drainMax) {
			t.records += n
		}
	}
	t.drained = t.since(&m.clock)
	if m.left {
		return
	}
	m.step(event{kind: evDrained, won: m.whole})
}

// serve makes this member the primary in deed: the application goes on, the requesters hear of it.
func (m *member) serve() {
	t := m.takeover
	planned := t == nil || t.planned
	m.mail.setWake(m.poll.Wake)
	m.retireLog()
	m.since, m.serving, m.unprotected = time.Now(), true, time.Time{}
	if t != nil && planned {
		m.counts.switches++
	} else if t != nil {
		m.counts.takeovers++
	}
	m.dropPassed()
	complete, err := m.app.promote(planned)
	if err != nil {
		m.leave(fmt.Errorf("cannot go on from the log: %w", err))
		return
	}
	if m.writing() { // a switch: the old primary is the backup, and holds what this one holds now
		m.app.filled(true)
	}
	m.now = m.clock.now()
	m.tell(planned && complete)
	if t == nil || !planned {
		m.attachToMonitor()
	}
	if len(m.askers) > 0 {
		m.switched(fmt.Errorf("the backup ended before it was primary: %w", ErrNotSynchronised))
	}
	if t == nil {
		return
	}
	t.serving = t.since(&m.clock)
	m.awaited = !planned
	m.log.Info("this member is the primary now", "epoch", m.roles.epoch, "cause", t.cause, "evidence", t.evidence,
		"records", t.records, "serving", t.serving)
}

// retireLog lets go of the log that this member has just taken over from.
func (m *member) retireLog() {
	if l := m.between; l != nil {
		m.between = nil
		m.retire(l)
	}
	l := m.link
	if l == nil || l.reader == nil {
		return
	}
	m.link = nil
	m.suspect, m.deaths = m.blamed(l)
	if m.roles.proven {
		m.dying, l.peer = l.peer, nil // is yet to be fenced
	}
	m.retire(l)
}

// retireAfter is how long a link that is not needed any more is left alone. To unmap a log takes long, and stops whoever
// touches new memory meanwhile: not while requesters wait.
const retireAfter = 20 * time.Millisecond

// retire closes a link later.
func (m *member) retire(l *link) {
	m.helpers.Go(func() {
		select {
		case <-m.quit:
		case <-time.After(retireAfter):
		}
		l.close()
	})
}

// tellAtOnce is how many requesters hear of the takeover before the first request is served again; the rest follow in
// rounds, between requests.
const tellAtOnce = 64

// tell begins to give notice of the new epoch to every requester, those first who were active last. It leaves with the replies
// to what is unread in the sockets, at the end of the first round: who has such a reply need not repeat.
func (m *member) tell(planned bool) {
	m.planned = planned
	m.unsaid = m.unsaid[:0]
	m.seats.each(func(c *conn) {
		if c.kind == connRequester {
			c.opener.DropRunning()
			if c.fd >= 0 {
				m.unsaid = append(m.unsaid, c)
			} else {
				c.deadline = m.now + lingerFor
				m.wakeAt(c.deadline)
			}
		}
	})
	if len(m.unsaid) > tellAtOnce {
		slices.SortFunc(m.unsaid, func(a, b *conn) int { return int(int64(b.at) - int64(a.at)) })
	}
	m.tellSome()
}

func (m *member) tellSome() {
	n := min(len(m.unsaid), tellAtOnce)
	if n == 0 {
		return
	}
	f := wire.Frame{Kind: wire.KindNotice}
	if m.planned {
		f.Flags = wire.FlagPlanned
	}
	for _, c := range m.unsaid[:n] {
		m.put(c, &f)
	}
	m.unsaid = m.unsaid[n:]
}

// firstReply notes when the first reply after a takeover was sent.
func (m *member) firstReply() {
	if !m.awaited {
		return
	}
	m.awaited = false
	m.takeover.firstReply = m.takeover.since(&m.clock)
	m.publish()
}
