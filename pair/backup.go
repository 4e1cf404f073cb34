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
	"github.com/1fb4ed1c/tandem/receive"
)

// The backup's round: sleep on the primary's robust futex, whose end is also the alarm clock; read what the log has;
// look whether the primary still moves. The thread that sleeps is the thread that takes over: nothing is handed on.

const (
	napShort = time.Millisecond      // between two looks while records arrive
	napLong  = 50 * time.Millisecond // the longest, while none do
	drainMax = 4096                  // records taken in one round, so that the other duties get their turn
)

// roundBackup runs one round.
func (m *member) roundBackup() {
	l := m.link
	if l == nil { // between a switch and the new primary's log
		m.roundBetween()
		return
	}
	nap := m.nap
	l.reader.Napping(nap > napShort)
	if l.reader.Unread() > 0 {
		nap = 0
	}
	dead := l.page.primary.Dead()
	if !dead && nap > 0 {
		m.mu.Unlock()
		dead = l.page.primary.Wait(nap)
		m.mu.Lock()
	}
	m.now = m.clock.now()
	l.page.backupBeat.Add(1)
	switch {
	case dead:
		m.primaryDied(l)
	case l.watch.dead.Load():
		m.noticed(causeDeath, l.watch.evidence(), true)
	default:
		m.follow(l, nap)
	}
}

// follow is a round in which nothing special happened.
func (m *member) follow(l *link, slept time.Duration) {
	m.readControl(l)
	n := m.drain(l, drainMax)
	if m.left || m.link != l {
		return
	}
	m.nap = min(2*m.nap, napLong, m.cfg.HangAfter/beatsPerHang)
	if n > 0 || m.roles.role == Joining {
		m.nap = napShort
	}
	switch l.reader.State() {
	case checkpoint.Closed:
		m.leave(ErrDropped)
	case checkpoint.HandedOver:
		m.handedOver(l)
	case checkpoint.Broken:
		m.leave(checkpoint.ErrCorrupt)
	default:
		m.checkProgress(l, slept)
	}
}

// checkProgress fences a primary whose progress counter stands still.
func (m *member) checkProgress(l *link, slept time.Duration) {
	still := l.stalled(l.page.primaryBeat.Load(), m.now, slept+napLong)
	if still < m.cfg.HangAfter/stoppedPart {
		return
	}
	if !m.whole { // who cannot take over must not end the only one that holds the state
		m.pity(l, still)
		return
	}
	if state, err := l.peer.State(); err == nil && state == 'T' {
		m.noticed(causeStopped, fmt.Sprintf("stopped, no progress for %v", still.Round(time.Millisecond)), false)
		return
	}
	if still >= m.cfg.HangAfter {
		m.noticed(causeHang, fmt.Sprintf("no progress for %v", still.Round(time.Millisecond)), false)
	}
}

// pity says once that the primary shows no progress while nobody can take over from it. It may be late only.
func (m *member) pity(l *link, still time.Duration) {
	if still >= m.cfg.HangAfter && !l.pitied {
		l.pitied = true
		m.log.Error("the primary shows no progress, and this backup does not hold the state yet: it waits", "pid", l.peerID.PID, "still", still)
	}
}

// stoppedPart: a process that the kernel says is stopped need not be watched for the whole of HangAfter.
const stoppedPart = 2

// drain applies at most limit records and returns how many there were. An error ends this backup: it cannot hold the
// state any more, and its primary will start another.
func (m *member) drain(l *link, limit int) int {
	n := 0
	for n < limit && !m.left {
		rec, err := l.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			m.seq = rec.Seq
			err = m.apply(rec.Kind, rec.Payload)
		}
		if err != nil {
			m.leave(fmt.Errorf("cannot follow the primary at record %d: %w", m.seq+1, err))
			break
		}
		l.page.backupBeat.Add(1)
		if n++; n%drainRelease == 0 {
			l.reader.Release()
		}
	}
	l.reader.Release()
	return n
}

// drainRelease is after how many records room is given back to the primary.
const drainRelease = 64

// apply takes one record.
func (m *member) apply(kind checkpoint.Kind, payload []byte) error {
	switch kind {
	case kindOpen:
		return m.applyOpen(payload)
	case kindClose:
		return m.applyClose(payload)
	case kindSynced:
		var r syncedRecord
		if err := r.parse(payload); err != nil {
			return err
		}
		m.openers.SetLast(r.lastOpener)
		m.requests, m.counts, m.whole = r.requests, r.counts, true
		m.app.filled(true)
		m.step(event{kind: evSynced})
		return nil
	case kindStop:
		m.step(event{kind: evOrdered})
		return nil
	}
	return m.app.apply(kind, payload)
}

// save keeps the reply of one request for its opener.
func (m *member) save(opener, id, low uint64, code int64, reply []byte) {
	m.requests++
	o := m.openers.Lookup(opener)
	if o == nil {
		return // told of later, with this reply
	}
	o.Decide(id, low)
	o.Save(id, code, reply)
	if c := m.seats.of[opener]; c != nil {
		c.at = m.seq
	}
}

func (m *member) applyOpen(part []byte) error {
	o, err := m.openers.Restore(part)
	if err != nil {
		return err
	}
	c := m.seats.of[o.ID]
	if c == nil {
		c = &conn{fd: -1, kind: connRequester, opener: o, pid: o.PID}
		m.seats.take(c)
		m.seats.bind(c)
	}
	m.holdPassed(c)
	return nil
}

// readAllControl takes everything that was sent before the record at hand. A descriptor that came after the record of its
// end would never be closed.
func (m *member) readAllControl() {
	if m.link != nil {
		for m.readControl(m.link) {
		}
	}
}

// holdPassed makes the descriptor that was sent ahead of c's record its connection.
func (m *member) holdPassed(c *conn) {
	if fd, ok := m.takePassed(c.id()); ok {
		m.hold(c, fd)
	}
}

// takePassed returns the descriptor that was sent ahead of the record that names id.
func (m *member) takePassed(id uint64) (int, bool) {
	if _, ok := m.passed[id]; !ok && !m.serving {
		m.readAllControl()
	}
	return m.passed.take(id)
}

func (m *member) applyClose(payload []byte) error {
	id, err := parseID(payload)
	if err != nil {
		return err
	}
	m.readAllControl()
	if fd, ok := m.passed.take(id); ok {
		_ = unix.Close(fd)
	}
	if c := m.seats.of[id]; c != nil {
		m.closeFD(c)
		m.seats.leave(c)
	}
	if isStream(id) {
		return nil
	}
	m.openers.Close(id)
	m.app.notify(receive.Close{Opener: id})
	return nil
}

// hold makes fd the connection of c. It joins the poller now, so that a takeover need not do it.
func (m *member) hold(c *conn, fd int) {
	m.closeFD(c)
	if err := m.poll.Add(fd, uint64(c.seat), sock.Readable); err != nil {
		m.log.Warn("cannot hold a connection", "opener", c.id(), "cause", err)
		_ = unix.Close(fd)
		return
	}
	c.fd = fd
}

// passedFD keeps descriptors that came before the record that names them.
type passedFD map[uint64]passed

type passed struct {
	fd    int
	names string // of a stream: see stream.names
}

func (p passedFD) take(opener uint64) (int, bool) {
	c, ok := p[opener]
	delete(p, opener)
	return c.fd, ok
}

// controlAtOnce bounds the packets that are taken from the control socket in one round.
const controlAtOnce = 256

// readControl takes what the primary has sent on the control socket. True: there may be more.
func (m *member) readControl(l *link) bool {
	for range controlAtOnce {
		n, fds, err := sock.RecvFDs(l.sock, m.in, maxFDs)
		if errors.Is(err, sock.ErrAgain) {
			return false
		}
		if errors.Is(err, sock.ErrNoDescriptors) {
			m.log.Warn("a connection could not be taken", "cause", err)
			continue // its requester resumes the open after a takeover
		}
		if err != nil {
			return false // end of file: the notices of death decide, not this (nonstop.md §10: a close is not enough)
		}
		if err := m.control(l, m.in[:n], fds); err != nil {
			m.leave(err)
			return false
		}
	}
	return true
}

// maxFDs bounds the descriptors of one packet between members.
const maxFDs = 4

// control handles one packet of the primary. It owns fds.
func (m *member) control(l *link, b []byte, fds []int) error {
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	pkt, err := wire.Parse(b)
	if err != nil {
		return err
	}
	var f wire.Frame
	for {
		ok, err := pkt.Next(&f)
		if err != nil || !ok {
			return err
		}
		switch f.Kind {
		case wire.KindPassFD:
			if len(fds) == 0 {
				return fmt.Errorf("a passed connection without a descriptor: %w", errMalformedRecord)
			}
			fd := fds[0]
			fds = fds[1:]
			m.takeFD(f.ID, passed{fd, string(f.Body)})
		case wire.KindPing, wire.KindStop:
		case wire.KindRefuse:
			return fmt.Errorf("%w: %s", ErrDropped, f.Body)
		default:
			return fmt.Errorf("unexpected frame %v from the primary: %w", f.Kind, errMalformedRecord)
		}
	}
}

func (m *member) takeFD(opener uint64, p passed) {
	if c := m.seats.of[opener]; c != nil {
		m.hold(c, p.fd)
		return
	}
	if old, ok := m.passed.take(opener); ok {
		_ = unix.Close(old)
	}
	if m.passed == nil {
		m.passed = passedFD{}
	}
	m.passed[opener] = p
}

// dropPassed ends the connections of requesters that the old primary had accepted and not welcomed. They come back.
func (m *member) dropPassed() {
	for id := range m.passed {
		if !isStream(id) {
			fd, _ := m.passed.take(id)
			_ = unix.Close(fd)
		}
	}
}
