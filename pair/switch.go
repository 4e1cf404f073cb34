package pair

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// The planned switch (NonStop's CHECKSWITCH). The primary answers what it has read, swaps the commit word on the
// backup's behalf, and becomes the backup: it holds the same state, so nothing need be filled. The new primary serves
// only after it has sent the old one the log of the new epoch and confirmed the hand-over; so there is no moment in which
// the death of either would lose a request. If the new primary dies before it has confirmed, it has served nobody: the
// old one swaps the word once more and is primary again.

// switchWithin is how long the old primary waits for the log of the new one.
const switchWithin = 2 * time.Second

// handOver ends this member's time as primary.
func (m *member) handOver() {
	l := m.link
	m.app.demote()
	m.flush()
	if m.left {
		return
	}
	if err := l.writer.HandOver(); err != nil {
		m.leave(fmt.Errorf("%w: %w", ErrDeposed, err))
		return
	}
	m.letGo()
	m.unequip(l)
	m.link, m.between, m.betweenSince = nil, l, m.now
	m.whole, m.serving, m.unsaid, m.awaited = true, false, nil, false
	m.mail.setWake(nil)
}

// letGo breaks with those whom the new primary does not know, or who wait for replies that it would not send: who has not
// said yet what it wants, and who does not read. They come back. The connection itself is shut, for the new
// primary may hold it too.
func (m *member) letGo() {
	m.seats.each(func(c *conn) {
		if c.fd < 0 || c.kind >= connAdmin || c.kind == connRequester && !c.blocked {
			return
		}
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
		m.disconnect(c, nil)
	})
}

// roundBetween waits for the log of the new primary.
func (m *member) roundBetween() {
	l := m.between
	l.page.primary.Ring()
	m.mu.Unlock()
	_, err := sock.WaitReadable(l.sock, 500*time.Microsecond)
	m.mu.Lock()
	m.now = m.clock.now()
	var n int
	var fds []int
	if err == nil {
		n, fds, err = sock.RecvFDs(l.sock, m.in, maxFDs)
	}
	switch {
	case err == nil:
		m.adopted(l, m.in[:n], fds)
	case errors.Is(err, sock.ErrAgain) && m.now-m.betweenSince < switchWithin:
	case errors.Is(err, io.EOF):
		m.noticed(causeDeath, "the new primary ended before it sent its log", false)
	default:
		m.noticed(causeHang, "the new primary sent no log: "+err.Error(), false)
	}
}

// adopted makes this member the backup of the new primary.
func (m *member) adopted(old *link, b []byte, fds []int) {
	l, admit, err := m.readLog(b, fds)
	if err != nil {
		m.leave(err)
		return
	}
	l.sock, l.peer, l.peerID, l.other = old.sock, old.peer, old.peerID, old.other
	old.sock, old.peer = -1, nil
	l.openThreads(admit.TIDs)
	if err := l.watchPeer(l.page.primary.Ring); err != nil {
		m.leave(err)
		return
	}
	m.mail.setWake(l.page.primary.Ring)
	m.link, m.between, m.nap = l, nil, napShort
	m.retire(old)
	m.since = time.Now()
	m.counts.switches++ // as the new primary does
	m.log.Info("this member is the backup now", "name", m.name, "epoch", admit.Epoch)
	m.app.filled(true)
	m.step(event{kind: evAdmitted, epoch: admit.Epoch})
	m.step(event{kind: evSynced})
	m.switched(nil)
}

// readLog maps the log that a primary has sent.
func (m *member) readLog(b []byte, fds []int) (*link, *wire.Admit, error) {
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	pkt, err := wire.Parse(b)
	if err != nil {
		return nil, nil, err
	}
	var f wire.Frame
	ok, err := pkt.Next(&f)
	if err == nil && ok && f.Kind == wire.KindRefuse {
		return nil, nil, fmt.Errorf("%w: %s", ErrDropped, f.Body)
	}
	if err != nil || !ok || f.Kind != wire.KindLog || len(fds) != 1 {
		return nil, nil, fmt.Errorf("cannot read the new primary's log: frame %v with %d descriptors: %w", f.Kind, len(fds), errMalformedRecord)
	}
	admit := &wire.Admit{}
	if err := wire.Unmarshal(f.Body, admit); err != nil {
		return nil, nil, err
	}
	l, err := m.mapLog(fds[0])
	return l, admit, err
}

// mapLog maps a log as its reader.
func (m *member) mapLog(fd int) (*link, error) {
	seg, err := checkpoint.Open(fd)
	if err != nil {
		return nil, err
	}
	if seg.Instance() != m.instance {
		_ = seg.Close()
		return nil, fmt.Errorf("log of instance %x, expected %x: %w", seg.Instance(), m.instance, ErrWrongInstance)
	}
	l, err := newLink(seg, false)
	if err != nil {
		_ = seg.Close()
		return nil, err
	}
	l.reader = seg.Reader()
	return l, nil
}

// handedOver makes this backup the primary, by the primary's wish.
func (m *member) handedOver(l *link) {
	m.takeover = &takeover{planned: true, cause: causeSwitch, evidence: "handed over", wall: time.Now(), noticed: m.now}
	t := m.takeover
	epoch, err := l.reader.Seal()
	if err != nil {
		m.leave(err)
		return
	}
	t.sealed = t.since(&m.clock)
	for n := m.drain(l, drainMax); n > 0; n = m.drain(l, drainMax) {
		t.records += n
	}
	m.readControl(l)
	t.drained = t.since(&m.clock)
	m.step(event{kind: evHandedOver, epoch: epoch})
}

// adopt makes the old primary the backup of this one: it sends it the log of the new epoch.
func (m *member) adopt() {
	old := m.link
	m.link = nil
	l, err := m.newLog()
	if err == nil {
		l.sock, l.peer, l.peerID, l.other = old.sock, old.peer, old.peerID, old.other
		err = m.sendLog(l, wire.KindLog)
	}
	if err != nil {
		m.log.Error("the old primary cannot stay as backup", "cause", err)
		m.adoptFailed(old, l)
		return
	}
	if !m.confirm(old) {
		return
	}
	old.sock, old.peer = -1, nil
	m.retire(old)
	// Not the threads watched so far: the old primary's beacon ends with the old log, and that is not its death.
	l.openThreads([]int{l.peerID.PID})
	m.link = l
	if err := m.equip(l); err != nil {
		m.log.Error("cannot watch the backup", "cause", err)
		m.step(event{kind: evPartnerLost, cause: causeFailed})
	}
}

// confirm makes the hand-over final: from now on this member may serve.
func (m *member) confirm(old *link) bool {
	if err := old.reader.Confirm(); err != nil {
		m.leave(fmt.Errorf("%w: %w", ErrDeposed, err)) // the old primary took its place back
		return false
	}
	return true
}

// adoptFailed lets go of the old primary: this one serves alone until it has another backup.
func (m *member) adoptFailed(old, l *link) {
	if l != nil {
		l.sock, l.peer = -1, nil
		m.retire(l)
	}
	if !m.confirm(old) {
		return
	}
	// It is told so, lest it take the end of the connection for a death and fence a primary that serves.
	_ = old.send(m.roles.epoch, refuseFrame(ErrDropped))
	m.retire(old)
	m.step(event{kind: evPartnerLost, cause: causeFailed})
}

// adoptLate looks once more for the log of a new primary that has confirmed and is dead by now. With it this member
// is a backup like any other, whose primary is dead.
func (m *member) adoptLate() bool {
	n, fds, err := sock.RecvFDs(m.between.sock, m.in, maxFDs)
	if err != nil {
		return false
	}
	m.roles.taking = causeNone
	m.adopted(m.between, m.in[:n], fds)
	return true
}
