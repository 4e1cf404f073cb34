package pair

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// The primary's round: everything that is ready is read and handled, then appended with one commit, then answered
// (design §4). What is not ready does not delay it.

// roundPrimary runs one round.
func (m *member) roundPrimary() {
	wait := m.patience()
	m.mu.Unlock()
	n, err := m.poll.Wait(m.events, wait)
	m.mu.Lock()
	m.now = m.clock.now()
	if err != nil {
		m.leave(err)
		return
	}
	m.beat()
	for _, ev := range m.events[:n] {
		if m.left || m.roles.role != Primary {
			return // a switch: what is not read yet is for the other member to read
		}
		m.ready(ev)
	}
	if m.left || m.roles.role != Primary {
		return
	}
	m.work()
	m.app.settle()
	m.flush()
}

// patience is how long the loop may sleep: not at all while there is work, and never so long that its progress counter
// seems to stand still.
func (m *member) patience() time.Duration {
	if m.fill.busy || len(m.unsaid) > 0 || len(m.touched) > 0 || m.app.busy() {
		return 0
	}
	idle := m.cfg.HangAfter / beatsPerHang
	if m.fill.on {
		idle = min(idle, time.Millisecond) // the log was full: look again soon
	}
	if m.due > 0 {
		idle = min(idle, max(m.due-m.now, 0))
	}
	if m.roles.partner == alone && m.roles.spawning {
		idle = min(idle, max(m.roles.retryAt-m.now, 0))
	}
	return idle
}

// beatsPerHang is how often an idle member shows progress in the time after which it counts as hung.
const beatsPerHang = 10

func (m *member) beat() {
	if m.link != nil {
		m.link.page.primaryBeat.Add(1)
	}
}

// ready handles one event of the poller.
func (m *member) ready(ev sock.Event) {
	switch ev.Key {
	case keyListener:
		m.accept()
	case keyLink:
		m.readLink()
	case keyPeer:
		if m.link != nil { // else an earlier event of this round told the same: once more would count against the next backup
			m.step(event{kind: evPartnerLost, cause: causeDeath})
		}
	default:
		c := m.seats.at(int(ev.Key))
		if c == nil {
			return // closed by an earlier event of this round
		}
		if c.kind >= connListener {
			m.app.ready(c, ev)
			return
		}
		if ev.Flags&sock.Writable != 0 {
			m.unblock(c)
		}
		if ev.Flags&(sock.Readable|sock.Hangup) != 0 {
			m.receive(c)
		}
	}
}

// receive takes one packet from a connection. One and not all: the others get their turn, and what is left makes the
// poller return at once.
func (m *member) receive(c *conn) {
	n, err := sock.Recv(c.fd, m.in)
	switch {
	case err == nil:
	case errors.Is(err, sock.ErrAgain):
		return
	case errors.Is(err, io.EOF):
		m.disconnect(c, nil)
		return
	default:
		m.disconnect(c, err)
		return
	}
	pkt, err := wire.Parse(m.in[:n])
	if err != nil {
		m.disconnect(c, err)
		return
	}
	var f wire.Frame
	for c.fd >= 0 {
		ok, err := pkt.Next(&f)
		if err != nil {
			m.disconnect(c, err)
			return
		}
		if !ok || m.left || m.roles.role != Primary {
			return
		}
		m.frame(c, &f)
	}
}

// frame handles one frame of a connection.
func (m *member) frame(c *conn, f *wire.Frame) {
	switch {
	case f.Kind == wire.KindRequest && c.kind == connRequester:
		m.request(c, f)
	case f.Kind == wire.KindHello && c.kind == connNew:
		m.hello(c, f)
	case f.Kind == wire.KindHello && c.kind == connRequester:
		m.welcome(c) // the primary that had opened it died before it could say so
	case f.Kind == wire.KindJoin && c.kind == connNew && !c.stranger:
		m.joinAsked(c, f)
	case f.Kind == wire.KindCancel && c.kind == connRequester:
		m.app.cancel(c.opener, f.ID)
	case f.Kind == wire.KindBye && c.kind == connRequester:
		m.closeOpen(c)
	case f.Kind == wire.KindRequest && c.kind == connAdmin:
		m.command(c, f)
	case f.Kind == wire.KindPing:
	default:
		m.disconnect(c, errUnexpected(f.Kind, c.kind))
	}
}

// request decides on one request of a requester by the table of nonstop.md §4.4.
func (m *member) request(c *conn, f *wire.Frame) {
	m.point(PointRead)
	switch c.opener.Decide(f.ID, f.Low) {
	case receive.Run:
		m.app.request(c, f)
	case receive.Saved:
		code, body, _ := c.opener.Saved(f.ID)
		m.reply(c, f.ID, code, body)
	case receive.Running:
		// The reply goes where the open's connection is; there is nothing to re-target but that.
	case receive.TooOld:
		m.reply(c, f.ID, codeOf(receive.ErrTooOld), nil)
	default:
		m.reply(c, f.ID, codeOf(receive.ErrWrongID), nil)
	}
}

// reply adds a reply to the packet that is sent after the commit.
func (m *member) reply(c *conn, id uint64, code int64, body []byte) {
	m.answers = true
	m.put(c, &wire.Frame{Kind: wire.KindReply, ID: id, Low: uint64(code), Body: body})
}

// put adds a frame to the packet that is sent after the commit.
func (m *member) put(c *conn, f *wire.Frame) {
	if c == nil || c.fd < 0 {
		return // the requester comes back for it, or does not
	}
	if len(c.out) > 0 && !wire.Fits(c.out, f) {
		m.pack(c)
	}
	if len(c.out) == 0 {
		c.out = wire.Begin(c.out)
	}
	out, err := wire.Append(c.out, f)
	if err != nil { // only a handler's reply can be too long, and that was checked when it was saved
		m.log.Error("cannot answer", "opener", c.pid, "cause", err)
		return
	}
	c.out = out
	m.touch(c)
}

// touch has c looked at after the commit.
func (m *member) touch(c *conn) {
	if !c.touched {
		c.touched = true
		m.touched = append(m.touched, c)
	}
}

// pack completes the packet being filled.
func (m *member) pack(c *conn) {
	wire.Finish(c.out, m.roles.epoch)
	c.sealed = append(c.sealed, c.out)
	c.out = nil
}

// flush commits what the round has appended and then, and only then, sends the replies.
func (m *member) flush() {
	if !m.commit() || !m.effect() {
		for _, c := range m.touched { // somebody else is primary: what we would say is void
			c.out, c.sealed, c.touched = c.out[:0], nil, false
		}
		m.touched = m.touched[:0]
		return
	}
	if len(m.touched) == 0 {
		return
	}
	m.point(PointEffects)
	for _, c := range m.touched {
		c.touched = false
		m.send(c)
	}
	m.touched = m.touched[:0]
	m.point(PointReplied)
	m.app.forget()
	if m.answers {
		m.answers = false
		m.firstReply()
	}
	m.point(PointForgot)
}

// effect does what the commit has made due outside. It returns false if this member has left.
func (m *member) effect() bool {
	if len(m.touched) > 0 {
		m.point(PointAppended)
	}
	if err := m.app.effects(); err != nil {
		m.leave(err)
	}
	return !m.left
}

// send sends what is complete and what is being filled. A requester that does not read gets no more of our attention
// until it does: its requests are not read either, so that what waits for it stays bounded.
func (m *member) send(c *conn) {
	if c.kind == connStream {
		m.app.send(c)
		return
	}
	if c.fd < 0 || c.blocked {
		return
	}
	for len(c.sealed) > 0 {
		if !m.sent(c, c.sealed[0]) {
			return
		}
		c.sealed = c.sealed[1:]
	}
	if len(c.out) == 0 {
		return
	}
	wire.Finish(c.out, m.roles.epoch)
	if m.sent(c, c.out) {
		c.out = c.out[:0]
	}
}

func (m *member) sent(c *conn, pkt []byte) bool {
	err := sock.Send(c.fd, pkt)
	switch {
	case err == nil:
		return true
	case errors.Is(err, sock.ErrAgain):
		c.blocked = true
		err = m.poll.Mod(c.fd, uint64(c.seat), sock.Writable)
		if err == nil {
			return false
		}
	}
	m.disconnect(c, err)
	return false
}

func (m *member) unblock(c *conn) {
	c.blocked = false
	if err := m.poll.Mod(c.fd, uint64(c.seat), sock.Readable); err != nil {
		m.disconnect(c, err)
		return
	}
	m.send(c)
}

// writing tells whether there is a backup to write for.
func (m *member) writing() bool { return m.link != nil && m.link.writer != nil }

// reserve returns room for one record, or nil when there is no backup to write it for. It waits for a backup that is
// behind, though no longer than a hang would be; after that the backup is given up.
func (m *member) reserve(kind recordKind, n int) []byte {
	for m.writing() && !m.left {
		b, err := m.link.writer.Reserve(kind, n)
		switch {
		case err == nil:
			return b
		case errors.Is(err, checkpoint.ErrFull):
			if m.makeRoom(n) {
				continue
			}
			m.step(event{kind: evPartnerLost, cause: causeFull})
		case errors.Is(err, checkpoint.ErrSealed):
			m.leave(ErrDeposed)
		default:
			m.log.Error("cannot append to the log", "bytes", n, "cause", err)
			m.step(event{kind: evPartnerLost, cause: causeFailed})
		}
		return nil // the backup is gone, or is given up as soon as the present event has been dealt with
	}
	return nil
}

// makeRoom publishes what is pending, so that the backup can take it, and waits until n bytes fit.
func (m *member) makeRoom(n int) bool {
	w := m.link.writer
	if m.commit(); m.left || !m.writing() {
		return true
	}
	for waited := time.Duration(0); waited < m.cfg.HangAfter; waited += m.cfg.HangAfter / beatsPerHang {
		m.beat()
		err := w.WaitFree(n, m.cfg.HangAfter/beatsPerHang)
		if !errors.Is(err, checkpoint.ErrFull) {
			return true // room, or something that the next Reserve reports
		}
	}
	return false
}

// commit makes everything appended so far safe. It returns false if this member is no longer the primary.
func (m *member) commit() bool {
	if m.left {
		return false
	}
	if m.writing() {
		err := m.link.writer.Commit()
		if err != nil {
			m.leave(ErrDeposed)
			return false
		}
	}
	return true
}

// disconnect closes a connection; err says what the peer did wrong, nil that it went away.
func (m *member) disconnect(c *conn, err error) {
	if err != nil {
		m.log.Warn("connection closed", "peer", c.pid, "cause", err)
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // the backup holds it too
	}
	m.closeFD(c)
	switch c.kind {
	case connRequester:
		c.deadline = m.now + lingerFor
		m.wakeAt(c.deadline)
	default:
		m.seats.leave(c)
	}
}

// closeFD closes the descriptor of c. It leaves the poller by name: the other member holds the same connection, which
// would keep it in there.
func (m *member) closeFD(c *conn) {
	if c.fd < 0 {
		return
	}
	_ = m.poll.Del(c.fd)
	_ = unix.Close(c.fd)
	c.fd, c.out, c.sealed, c.blocked = -1, nil, nil, false
}

// point lets tests kill this process at a named step.
func (m *member) point(p Point) {
	if m.cfg.AtPoint != nil {
		m.cfg.AtPoint(p)
	}
}

// codeOf is the code of a sentinel of package receive as it travels.
func codeOf(err error) int64 {
	code, _ := receive.Describe(err)
	return int64(code)
}
