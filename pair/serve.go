package pair

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/receive"
)

// Serving streams, on the primary. The order of work for what a client sends (design §4, §9): its bytes are peeked at,
// cut into requests, handled; the records are appended, the replies written, and only then are the bytes taken out of the
// socket. The beginning of a request that has not come whole is a record too; so a request may be larger than any buffer.

const (
	windowSize = 64 << 10  // bytes looked at in one go
	tailMost   = 256 << 10 // no further request is handled for a client that has so much to read
)

// streaming is what a service keeps for its streams.
type streaming struct {
	count    uint64 // connections accepted in this epoch
	window   []byte
	done     []*conn // written to in this round, or not; their bytes are to be taken out
	unsure   []*conn // to be recovered after a takeover, the most urgent last
	unfilled []*conn // still to be told to the new backup
	unpassed []*conn // whose descriptor the backup had no room for yet
	spare    tails
	parked   *conn // waits until the pair is protected
}

// ready handles an event of a listener or a stream.
func (s *Service) ready(c *conn, ev sock.Event) {
	switch {
	case c.kind == connListener && c.origin.door != "":
		s.m.acceptAt(c.fd, s.m.admitStranger, func() { s.m.mute(c) })
		return
	case c.kind == connListener:
		s.acceptStreams(c)
		return
	}
	if ev.Flags&sock.Writable != 0 || c.blocked && ev.Flags&sock.Hangup != 0 {
		c.blocked = false
		s.watchStream(c, sock.Readable)
		s.m.touch(c)
		return // what has been read is written before more is read
	}
	s.readStream(c)
}

func (s *Service) acceptStreams(l *conn) {
	m := s.m
	for range acceptAtOnce {
		fd, remote, err := sock.AcceptTCP(l.fd)
		if errors.Is(err, sock.ErrAgain) {
			return
		}
		if err != nil { // as in member.accept
			m.log.Error("cannot accept a connection", "cause", err)
			m.mute(l)
			return
		}
		if err := s.admitStream(l.origin, fd, remote); err != nil {
			m.log.Warn("connection refused", "peer", remote, "cause", err)
			_ = unix.Close(fd)
		}
	}
}

// admitStream seats a new connection. It is passed to the backup first of all: it would die with this process. What it sends is
// left alone until a record names it.
func (s *Service) admitStream(o *origin, fd int, remote string) error {
	m := s.m
	s.streaming.count++
	c := &conn{fd: fd, kind: connStream, origin: o, stream: &stream{id: streamID(m.roles.epoch, s.streaming.count), remote: remote, addr: o.addr, spare: &s.streaming.spare}}
	s.passStream(c)
	if err := m.seat(c); err != nil {
		return err
	}
	m.seats.bind(c)
	s.writeStreamRecord(c.stream)
	return nil
}

// passStream gives the backup a connection, later if it is behind. If that fails, this connection ends at the takeover;
// nobody else suffers.
func (s *Service) passStream(c *conn) {
	if !s.tryPass(c) {
		s.streaming.unpassed = append(s.streaming.unpassed, c)
		s.m.wakeAt(s.m.now + passAgain)
	}
}

// passAgain is the time after which a backup that is behind is tried again.
const passAgain = time.Millisecond

// tryPass reports whether there is nothing left to be done about it.
func (s *Service) tryPass(c *conn) bool {
	m := s.m
	if m.link == nil || c.fd < 0 {
		return true
	}
	err := m.tryFD(c)
	if errors.Is(err, sock.ErrAgain) {
		m.ring()
		return false
	}
	if err != nil {
		m.log.Warn("cannot pass a connection to the backup: it will not survive a takeover", "peer", c.stream.remote, "cause", err)
	}
	return true
}

// passLate passes the connections for which the backup was behind.
func (s *Service) passLate() {
	p := &s.streaming
	for len(p.unpassed) > 0 {
		if !s.tryPass(p.unpassed[0]) {
			s.m.wakeAt(s.m.now + passAgain)
			return
		}
		p.unpassed = p.unpassed[1:]
	}
	p.unpassed = nil
}

func (s *Service) writeStreamRecord(st *stream) {
	if !s.m.writing() {
		return
	}
	st.parts(s.m.link.maxPart(), func(r commitRecord) bool {
		s.write(kindStream, &r)
		return s.m.writing()
	})
}

// readStream takes in what a client has sent.
func (s *Service) readStream(c *conn) {
	st := c.stream
	if c.blocked || st.last || st.waits || !s.sure(c) {
		return
	}
	if s.streaming.window == nil {
		s.streaming.window = make([]byte, min(windowSize, s.cfg.LogSize/16)) // what it leaves over fits one record
	}
	n, err := sock.Peek(c.fd, s.streaming.window)
	switch {
	case err == nil:
		s.takeIn(c, s.streaming.window[:n])
	case err == sock.ErrAgain:
	case errors.Is(err, io.EOF):
		s.closeStream(c, nil)
	default:
		s.closeStream(c, err)
	}
}

// takeIn handles the requests that the bytes peeked at complete, and keeps the beginning of one more.
func (s *Service) takeIn(c *conn, peeked []byte) {
	st, p := c.stream, c.origin.protocol
	b, base, h := peeked, st.start(), len(st.held)
	if h > 0 {
		b = append(st.held, peeked...)
	}
	used, more := 0, true
	for used < len(b) && !st.last && more {
		if len(st.tail) >= tailMost {
			s.m.touch(c)
			break
		}
		n, err := p.Cut(b[used:])
		if err == nil && (n > p.MaxRequest || n == 0 && len(b)-used > p.MaxRequest) {
			err = fmt.Errorf("a request of more than %d bytes: %w", p.MaxRequest, receive.ErrTooLarge)
		}
		if err == nil && (n < 0 || n > len(b)-used || n > 0 && used+n <= h) { // what was held was no whole request
			err = fmt.Errorf("cut %d bytes out of %d, of which the first %d were cut before: %w", n, len(b)-used, h-used, receive.ErrBadRequest)
		}
		switch {
		case err != nil:
			s.failStream(c, base+uint64(len(b)), err)
			return
		case n == 0:
			s.keep(c, b, used, h, len(peeked) < len(s.streaming.window))
			return
		}
		if more = s.streamRequest(c, b[used:used+n], base+uint64(used+n)); more {
			used += n
		}
	}
}

// keep records the bytes that are not a whole request yet, unless they are part of what was cut short by the window: then
// the next look finds more.
func (s *Service) keep(c *conn, b []byte, used, h int, whole bool) {
	if used > 0 && !whole {
		return
	}
	st := c.stream
	rest := b[max(used, h):] // new to the records
	if used == 0 && h > 0 {
		st.held = b[:h] // with the room behind it
	}
	r := commitRecord{opener: st.id, id: st.in + uint64(len(rest)), low: st.written(), changes: rest}
	if p := c.origin.protocol; p.Interim != nil && !st.said {
		s.out = p.Interim(b[used:], s.out[:0])
		r.reply = s.out
	}
	if s.m.writing() {
		s.m.beat()
		s.write(kindInput, &r)
		s.answered(st.id, r.id)
	}
	st.holds(r.id, rest, r.reply)
	s.m.touch(c)
}

// streamRequest runs one request, which ends at position in. False: it waits.
func (s *Service) streamRequest(c *conn, req []byte, in uint64) bool {
	m, st := s.m, c.stream
	m.point(PointRead)
	if m.poisonous(st.id, in) {
		s.refuseStreamPoison(c, in)
		return true
	}
	if s.parksStream(c, in) {
		return false
	}
	r := requestRecord{opener: st.id, id: in, low: st.written(), wall: m.wall(), mono: int64(m.now), seed: rand.Uint64(), method: c.origin.handle.tag, body: req}
	code, survived := s.runAlone(&r)
	if survived {
		if m.deaths == 0 || m.suspect != (blame{st.id, in}) {
			m.suspect, m.deaths, m.innocent = blame{st.id, in}, 1, false
			if s.parksStream(c, in) {
				return false
			}
		}
		s.refuseStreamPoison(c, in)
		return true
	}
	s.ship(&r, code)
	s.handledStream(c, in)
	return true
}

// handledStream takes note of a reply in s.out.
func (s *Service) handledStream(c *conn, in uint64) {
	m := s.m
	c.stream.handled(in, s.out, s.call.hangup)
	m.requests++
	m.answers = true
	m.touch(c)
}

// failStream tells a client, whose bytes up to position in are of no use, what is wrong with them, and hangs up.
func (s *Service) failStream(c *conn, in uint64, err error) {
	s.m.log.Warn("connection closed", "peer", c.stream.remote, "cause", err)
	s.answerStream(c, in, c.origin.protocol.fail(s.out[:0], err), true)
}

func (s *Service) refuseStreamPoison(c *conn, in uint64) {
	s.m.log.Error("a request that kills its server is refused", "peer", c.stream.remote, "position", in)
	reply := c.origin.protocol.fail(s.out[:0], receive.ErrPoison)
	s.answerStream(c, in, reply, len(reply) == 0)
}

// answerStream answers without a handler.
func (s *Service) answerStream(c *conn, in uint64, reply []byte, last bool) {
	s.out, s.call.hangup = reply, last
	rec := commitRecord{opener: c.stream.id, id: in, low: c.stream.written(), code: streamCode(last), reply: reply}
	if s.m.writing() {
		s.write(kindCommit, &rec)
		s.answered(rec.opener, rec.id)
	}
	s.handledStream(c, in)
}

// streamCode is the code of a stream's request in a record.
func streamCode(last bool) int64 {
	if last {
		return streamLast
	}
	return 0
}

// parksStream lets a request wait that a primary died of, until the pair is protected (see suspect.go).
func (s *Service) parksStream(c *conn, in uint64) bool {
	if !s.m.mustWait(c.stream.id, in) {
		return false
	}
	s.m.log.Warn("a request that a primary died of waits for the new backup", "peer", c.stream.remote, "position", in)
	c.stream.waits, s.streaming.parked = true, c
	s.watchStream(c, 0)
	return true
}

// unparkStream goes on with it.
func (s *Service) unparkStream() {
	c := s.streaming.parked
	s.streaming.parked = nil
	if c != nil && c.fd >= 0 {
		c.stream.waits = false
		s.watchStream(c, sock.Readable)
	}
}

// send writes the replies of a stream. The bytes of its requests are taken out in any case: they are accounted for.
func (s *Service) send(c *conn) {
	st := c.stream
	s.streaming.done = append(s.streaming.done, c)
	if c.fd < 0 || c.blocked || len(st.tail) == 0 {
		return
	}
	n, err := sock.Write(c.fd, st.tail)
	st.wrote(st.written() + uint64(n))
	switch {
	case err == nil:
	case err == sock.ErrAgain:
		c.blocked = true
		s.watchStream(c, sock.Writable)
	default:
		s.closeStream(c, err)
	}
}

// forget takes the bytes of the requests that have been answered out of the sockets.
func (s *Service) forget() {
	for i, c := range s.streaming.done {
		s.streaming.done[i] = nil
		st := c.stream
		if n := int(st.in - st.taken); n > 0 && c.fd >= 0 {
			if _, err := sock.Discard(c.fd, n); err != nil {
				s.closeStream(c, err)
				continue
			}
			st.taken = st.in
		}
		if st.last && len(st.tail) == 0 {
			s.closeStream(c, nil)
		}
	}
	s.streaming.done = s.streaming.done[:0]
}

func (s *Service) watchStream(c *conn, flags sock.Flags) {
	if c.fd < 0 {
		return
	}
	if err := s.m.poll.Mod(c.fd, uint64(c.seat), flags); err != nil {
		s.closeStream(c, err)
	}
}

// afterEnd stands for the position of what runs when a stream has ended.
const afterEnd = math.MaxUint64

// closeStream ends a connection on both members. err says what went wrong, nil that the client is through, or gone.
func (s *Service) closeStream(c *conn, err error) {
	m, st := s.m, c.stream
	if m.seats.at(c.seat) != c {
		return
	}
	if err != nil {
		m.log.Info("connection lost", "peer", st.remote, "cause", err)
	}
	if c.fd >= 0 {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // the backup holds it too
	}
	m.closeFD(c)
	m.seats.leave(c)
	if s.streaming.parked == c {
		s.streaming.parked = nil
	}
	if o := c.origin.closed; o != nil && !m.poisonous(st.id, afterEnd) {
		r := requestRecord{opener: st.id, id: afterEnd, wall: m.wall(), mono: int64(m.now), seed: rand.Uint64(), method: o.tag}
		if code, survived := s.runAlone(&r); !survived {
			s.ship(&r, code)
		}
	}
	if m.writing() {
		if b := m.reserve(kindClose, 8); b != nil {
			putID(b, st.id)
		}
	}
}
