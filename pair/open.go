package pair

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// Opens of requesters. An open is state of the pair: the backup holds its saved replies and its connection. So the
// order is: pass the descriptor, append the record that names it, commit, and only then welcome the requester.

func errUnexpected(k wire.Kind, c connKind) error {
	return fmt.Errorf("unexpected frame %v on a connection of kind %d", k, c)
}

var errSilent = fmt.Errorf("it did not say in time who it is")

// acceptAtOnce bounds the connections taken in one round.
const acceptAtOnce = 64

// accept takes the connections that wait.
func (m *member) accept() { m.acceptAt(m.listener, m.admitConn, m.muteListener) }

func (m *member) acceptAt(listener int, admit func(fd int) error, mute func()) {
	for range acceptAtOnce {
		fd, err := sock.Accept(listener)
		if errors.Is(err, sock.ErrAgain) {
			return
		}
		if err != nil {
			// Without descriptors the connection stays in the queue. It is looked at again when one is closed, and
			// meanwhile the poller must not return for it at once and for ever.
			m.log.Error("cannot accept a connection", "cause", err)
			mute()
			return
		}
		if err := admit(fd); err != nil {
			m.log.Warn("connection refused", "cause", err)
			_ = unix.Close(fd)
		}
	}
}

// muteFor is how long the listener is left alone when there are no descriptors.
const muteFor = 50 * time.Millisecond

func (m *member) muteListener() {
	if m.muted > 0 {
		return
	}
	if err := m.poll.Mod(m.listener, keyListener, 0); err != nil {
		m.log.Error("cannot mute the listener", "cause", err)
		return
	}
	m.muted = m.now + muteFor
	m.wakeAt(m.muted)
}

// mute is muteListener for a listener of the application.
func (m *member) mute(l *conn) {
	if err := m.poll.Mod(l.fd, uint64(l.seat), 0); err != nil {
		m.log.Error("cannot mute a listener", "cause", err)
		return
	}
	l.deadline = m.now + muteFor
	m.wakeAt(l.deadline)
}

// unmute is the reverse.
func (m *member) unmute(l *conn) {
	if m.now < l.deadline {
		m.wakeAt(l.deadline)
		return
	}
	l.deadline = 0
	if err := m.poll.Mod(l.fd, uint64(l.seat), sock.Readable); err != nil {
		m.leave(fmt.Errorf("cannot listen again: %w", err))
	}
}

func (m *member) unmuteListener() {
	if m.muted == 0 {
		return
	}
	if m.now < m.muted {
		m.wakeAt(m.muted)
		return
	}
	m.muted = 0
	if err := m.poll.Mod(m.listener, keyListener, sock.Readable); err != nil {
		m.leave(fmt.Errorf("cannot listen again: %w", err))
	}
}

// admitConn seats a new connection of a process of our own user, or of root.
func (m *member) admitConn(fd int) error {
	uid, _, pid, err := sock.PeerCred(fd)
	if err != nil {
		return err
	}
	if me := os.Geteuid(); int(uid) != me && uid != 0 {
		return fmt.Errorf("process %d belongs to user %d, expected %d", pid, uid, me)
	}
	return m.seat(&conn{fd: fd, pid: pid, deadline: m.now + helloWithin})
}

// admitStranger seats a new connection of a process of any user, which can become a requester and nothing else.
func (m *member) admitStranger(fd int) error {
	uid, _, pid, err := sock.PeerCred(fd)
	if err != nil {
		return err
	}
	return m.seat(&conn{fd: fd, pid: pid, deadline: m.now + helloWithin, stranger: int(uid) != os.Geteuid() && uid != 0})
}

// seat has the loop read from a new connection.
func (m *member) seat(c *conn) error {
	m.seats.take(c)
	if err := m.poll.Add(c.fd, uint64(c.seat), sock.Readable); err != nil {
		m.seats.leave(c)
		return err
	}
	m.wakeAt(c.deadline)
	return nil
}

// hello learns who speaks.
func (m *member) hello(c *conn, f *wire.Frame) {
	var h wire.Hello
	if err := wire.Unmarshal(f.Body, &h); err != nil {
		m.disconnect(c, err)
		return
	}
	if h.Name != "" && h.Name != m.name {
		m.refuse(c, fmt.Errorf("this is %s, not %s: %w", m.name, h.Name, receive.ErrWrongID))
		return
	}
	switch {
	case h.Role == wire.RoleRequester:
		m.open(c, &h)
	case h.Role == wire.RoleAdmin && !c.stranger:
		c.kind = connAdmin
		m.welcome(c)
	default:
		m.refuse(c, fmt.Errorf("unknown role %q: %w", h.Role, receive.ErrBadRequest))
	}
}

// open makes an open for c, or gives it back the one it had.
func (m *member) open(c *conn, h *wire.Hello) {
	uid, _, _, err := sock.PeerCred(c.fd)
	if err != nil {
		m.disconnect(c, err)
		return
	}
	if m.roles.stopping {
		m.refuse(c, ErrStopping)
		return
	}
	if h.Opener != 0 {
		m.resume(c, h, uid)
		return
	}
	o, err := m.openers.Open(receive.Identity{Cookie: newCookie(), Depth: h.Depth, Window: h.Window, UID: uid, PID: c.pid})
	if err != nil {
		m.refuse(c, err)
		return
	}
	c.kind, c.opener = connRequester, o
	m.seats.bind(c)
	m.fill.later(o)
	m.pass(c)
	m.appendOpen(o)
	m.welcome(c)
	m.app.notify(receive.Open{Identity: o.Identity})
}

// resume binds an open that is still in the table to a new connection.
func (m *member) resume(c *conn, h *wire.Hello, uid uint32) {
	if h.Instance != "" && h.Instance != m.instanceString() {
		m.refuse(c, fmt.Errorf("instance %s is gone, this is %s: %w", h.Instance, m.instanceString(), receive.ErrWrongID))
		return
	}
	o, err := m.openers.Resume(h.Opener, h.Cookie, uid)
	if err != nil {
		m.refuse(c, err)
		return
	}
	if old := m.seats.of[o.ID]; old != nil {
		if old.fd >= 0 {
			_ = unix.Shutdown(old.fd, unix.SHUT_RDWR) // the backup holds it too
		}
		m.closeFD(old)
		m.seats.leave(old)
	}
	c.kind, c.opener = connRequester, o
	m.seats.bind(c)
	m.pass(c)
	m.welcome(c)
}

func (m *member) welcome(c *conn) {
	w := wire.Welcome{Instance: m.instanceString(), Epoch: m.roles.epoch, PID: m.self.PID}
	if o := c.opener; o != nil {
		w.Opener, w.Cookie, w.Depth = o.ID, o.Cookie, o.Depth
	}
	body, err := wire.Marshal(&w)
	if err != nil {
		m.disconnect(c, err)
		return
	}
	m.put(c, &wire.Frame{Kind: wire.KindWelcome, Body: body})
}

// refuse tells the peer why it may not, and closes. err should have a code in receive.
func (m *member) refuse(c *conn, err error) {
	if c == nil {
		return
	}
	pkt, perr := wire.Pack(nil, m.roles.epoch, refuseFrame(err))
	if perr == nil {
		_ = sock.Send(c.fd, pkt)
	}
	m.disconnect(c, err)
}

// pass gives the backup the descriptor of a requester's connection, ahead of the record that names its open. If that
// fails, this connection is cut at the takeover and its requester resumes the open on a new one: nobody else suffers.
func (m *member) pass(c *conn) {
	if m.link == nil || c.fd < 0 || !m.fill.past(c.opener.ID) {
		return
	}
	if err := m.sendFD(c); err != nil {
		m.log.Warn("cannot pass a connection to the backup", "opener", c.opener.ID, "cause", err)
	}
}

// passWithin bounds the wait for a backup that does not read its control socket.
const (
	passWithin = 20 * time.Millisecond
	passPause  = 100 * time.Microsecond
)

// sendFD passes a connection, and waits a moment for a backup that is behind.
func (m *member) sendFD(c *conn) error {
	return m.insist(func() error { return m.tryFD(c) })
}

// insist tries for a moment to send something to a backup that is behind.
func (m *member) insist(try func() error) error {
	err := try()
	for until := m.clock.now() + passWithin; errors.Is(err, sock.ErrAgain) && m.clock.now() < until; {
		m.ring()
		time.Sleep(passPause)
		err = try()
	}
	return err
}

// tryFD passes a connection. ErrAgain: the backup is behind.
func (m *member) tryFD(c *conn) error {
	f := wire.Frame{Kind: wire.KindPassFD, ID: c.id()}
	if c.stream != nil {
		f.Body = []byte(c.stream.names())
	}
	return m.link.send(m.roles.epoch, &f, c.fd)
}

// appendOpen writes an open, with the replies it has saved, into the log.
func (m *member) appendOpen(o *receive.Opener) {
	if !m.writing() || !m.fill.past(o.ID) {
		return
	}
	for slot, next := 0, 0; ; slot = next {
		var part []byte
		part, next = o.AppendPart(m.scratch[:0], slot, m.link.maxPart())
		m.scratch = part
		b := m.reserve(kindOpen, len(part))
		if b == nil {
			return
		}
		copy(b, part)
		if next == 0 {
			return
		}
	}
}

// closeOpen ends an open for good.
func (m *member) closeOpen(c *conn) {
	id := c.opener.ID
	m.closeFD(c)
	m.seats.leave(c)
	m.openers.Close(id)
	if m.writing() && m.fill.past(id) {
		if b := m.reserve(kindClose, 8); b != nil {
			binary.LittleEndian.PutUint64(b, id)
		}
	}
	m.app.notify(receive.Close{Opener: id})
}

// expire closes connections that never said who they are, and opens that nobody came back for.
func (m *member) expire() {
	m.seats.each(func(c *conn) {
		if c.deadline == 0 {
			return
		}
		if c.kind == connListener {
			m.unmute(c)
			return
		}
		waiting := c.kind == connNew || c.kind == connRequester && c.fd < 0
		switch {
		case !waiting:
			c.deadline = 0
		case c.deadline > m.now:
			m.wakeAt(c.deadline)
		case c.kind == connNew:
			m.disconnect(c, errSilent)
		default:
			m.closeOpen(c)
		}
	})
}

func newCookie() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return binary.LittleEndian.Uint64(b[:]) | 1
}
