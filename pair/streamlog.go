package pair

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/filestate"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

// Streams as the backup knows them, and how a new primary goes on with them.

// checkStreams fills in the defaults of the protocols.
func (s *Service) checkStreams() error {
	size := s.cfg.LogSize
	if size == 0 {
		size = defaultLogSize
	}
	most := size/4 - 4*recordSlack
	known := map[string]bool{}
	for _, o := range s.origins {
		if known[o.addr] {
			return fmt.Errorf("the service listens on %q twice", o.addr)
		}
		known[o.addr] = true
		if o.protocol == nil {
			continue
		}
		o.handle.tag = []byte(o.handle.name)
		if o.closed != nil {
			o.closed.tag = []byte(o.closed.name)
		}
		switch n := &o.protocol.MaxRequest; {
		case *n == 0:
			*n = most
		case *n < 0 || *n > most:
			return fmt.Errorf("cannot use MaxRequest %d on %s: expected at most %d (a quarter of Config.LogSize, less some)", *n, o.addr, most)
		}
	}
	return nil
}

// fillStreams begins to tell a new backup of the streams there are.
func (s *Service) fillStreams() {
	s.streaming.unfilled, s.streaming.unpassed = s.streaming.unfilled[:0], nil
	s.m.seats.each(func(c *conn) {
		if c.kind == connStream {
			s.streaming.unfilled = append(s.streaming.unfilled, c)
		}
	})
}

// fillStream tells it of one.
func (s *Service) fillStream() {
	list := s.streaming.unfilled
	c := list[len(list)-1]
	if s.m.seats.at(c.seat) == c { // else it has ended
		if !s.tryPass(c) {
			s.m.fill.busy = false
			return
		}
		s.writeStreamRecord(c.stream)
	}
	s.streaming.unfilled = list[:len(list)-1]
}

// applyStream takes over what the primary says of a connection.
func (s *Service) applyStream(b []byte) error {
	var r commitRecord
	if err := r.parse(b); err != nil {
		return err
	}
	return s.restoreStream(&r)
}

func (s *Service) restoreStream(r *commitRecord) error {
	m := s.m
	c := m.seats.of[r.opener]
	if c == nil {
		c = &conn{fd: -1, kind: connStream, stream: &stream{spare: &s.streaming.spare}}
	}
	if err := c.stream.restore(r); err != nil {
		return err
	}
	c.at = m.seq
	if c.origin != nil {
		return nil
	}
	if err := s.place(c); err != nil {
		return err
	}
	m.holdPassed(c)
	return nil
}

// place seats a stream that another member has accepted.
func (s *Service) place(c *conn) error {
	for _, o := range s.origins {
		if o.addr == c.stream.addr && o.protocol != nil {
			c.origin = o
			s.m.seats.take(c)
			s.m.seats.bind(c)
			return nil
		}
	}
	return fmt.Errorf("the other member serves a connection on %q, where this one does not listen: %w", c.stream.addr, errMalformedRecord)
}

// adoptPassed makes the connections its own that the old primary had accepted and not read from: no record names them.
func (s *Service) adoptPassed() {
	m := s.m
	for id, p := range m.passed {
		delete(m.passed, id)
		c := &conn{fd: -1, kind: connStream, stream: &stream{id: id, spare: &s.streaming.spare}}
		if !c.stream.named(p.names) || s.place(c) != nil {
			_ = unix.Close(p.fd)
			continue
		}
		m.hold(c, p.fd)
	}
}

// applyInput takes over the beginning of a request.
func (s *Service) applyInput(b []byte) error {
	var r commitRecord
	if err := r.parse(b); err != nil {
		return err
	}
	if c := s.m.seats.of[r.opener]; c != nil && c.stream != nil {
		c.stream.heard(r.low)
		c.stream.holds(r.id, r.changes, r.reply)
		c.at = s.m.seq
	}
	return nil
}

// saveStream takes over what was answered to a request.
func (s *Service) saveStream(r *commitRecord) {
	s.m.requests++
	c := s.m.seats.of[r.opener]
	if c == nil || c.stream == nil || r.id == afterEnd {
		return // it has ended, or is told of later
	}
	c.stream.heard(r.low)
	c.stream.handled(r.id, r.reply, r.code&streamLast != 0)
	c.at = s.m.seq
}

var errNotPassed = errors.New("its descriptor did not reach this member")

// promoteStreams makes a backup's streams those of a primary. How far the old primary got with each is found out when it is
// needed, or soon: not before the old primary is silent (design §7).
func (s *Service) promoteStreams() error {
	m := s.m
	if err := s.listen(); err != nil { // an address that the old primary did not have
		m.log.Error("cannot listen", "cause", err)
	}
	s.adoptPassed()
	s.streaming.count, s.streaming.parked = 0, nil
	s.streaming.unsure, s.streaming.done = s.streaming.unsure[:0], s.streaming.done[:0]
	m.seats.each(func(c *conn) {
		switch {
		case c.kind != connStream:
		case c.fd < 0:
			s.closeStream(c, errNotPassed)
		default:
			c.stream.unsure, c.stream.waits, c.blocked, c.touched = true, false, false, false
			s.streaming.unsure = append(s.streaming.unsure, c)
		}
	})
	s.sortUnsure()
	s.startOrigins()
	return nil
}

// hurry is how many records back a stream may have been touched last for the old primary to be likely to have died over it.
const hurry = 1 << 14

// sortUnsure puts those first who may wait for a reply: at the end of the list, the latest last.
func (s *Service) sortUnsure() {
	list := s.streaming.unsure
	last := 0
	for i, c := range list {
		if c.at+hurry > s.m.seq {
			list[last], list[i] = list[i], list[last]
			last++
		}
	}
	recent := list[:last]
	slices.SortFunc(recent, func(a, b *conn) int { return -cmp.Compare(a.at, b.at) })
	slices.Reverse(list)
}

// recoverAtOnce bounds the streams recovered in one round, so that requests get their turn.
const recoverAtOnce = 64

func (s *Service) recoverSome() {
	s.passLate()
	if !s.busy() {
		return
	}
	for range recoverAtOnce {
		list := s.streaming.unsure
		if len(list) == 0 {
			s.streaming.unsure = nil
			return
		}
		c := list[len(list)-1]
		s.streaming.unsure = list[:len(list)-1]
		if s.m.seats.at(c.seat) == c {
			s.sure(c)
		}
	}
}

// busy tells whether there are streams to recover, and that it can be done.
func (s *Service) busy() bool {
	return len(s.streaming.unsure) > 0 && s.m.effects.open() || s.attend.pending()
}

// sure finds out how far the old primary got with a stream, unless that is known, and makes up for the rest: what was
// handled is taken out of the socket, what was answered is written. False: the stream cannot be served.
func (s *Service) sure(c *conn) bool {
	st := c.stream
	if !st.unsure {
		return true
	}
	if !s.m.awaitFence() {
		return false
	}
	read, written, err := filestate.TCPPositions(c.fd)
	var n, done int
	if err == nil {
		n, err = st.recover(read, written)
	}
	if err == nil && n > 0 {
		if done, err = sock.Discard(c.fd, n); err == nil && done < n {
			err = errPositions
		}
	}
	if err != nil {
		s.closeStream(c, err)
		return false
	}
	s.watchStream(c, sock.Readable)
	if len(st.tail) > 0 || st.last {
		s.m.touch(c)
	}
	return c.fd >= 0
}

// demoteStreams ends this member's part as primary.
func (s *Service) demoteStreams() {
	s.stopOrigins()
	s.streaming.unsure, s.streaming.unfilled, s.streaming.unpassed, s.streaming.parked = nil, nil, nil, nil
}

func (s *Service) close() {
	s.closeOrigins()
	s.closeFiles()
}
