package pair

import (
	"time"

	"github.com/1fb4ed1c/tandem/receive"
)

// conn is one connection to this pair, or what is left of it: an open whose connection is lost keeps its place for a
// while, so that the requester may come back to it.
type conn struct {
	seat     int
	fd       int // -1: none
	kind     connKind
	opener   *receive.Opener // of a requester that was welcomed
	stream   *stream         // of a client that knows nothing of us
	stranger bool            // of another user, who can be a requester only
	origin   *origin         // of a stream, or the listener itself

	out      []byte   // the packet being filled with replies
	sealed   [][]byte // complete packets that wait for the commit, or for the requester to read
	touched  bool     // stands in member.touched
	blocked  bool     // the requester does not read: wait for room
	at       uint64   // sequence number of the last record of this open: who was active lately is told first
	deadline time.Duration
	pid      int // of the peer, as the kernel says
	join     joiner
}

type connKind uint8

const (
	connNew       connKind = iota // has not said Hello
	connRequester                 // holds an open
	connJoining                   // a process that wants to be the backup
	connAdmin                     // commands
	connListener                  // not a connection: streams are accepted here
	connStream                    // a client's stream
)

// id is under what the backup knows the connection; 0: it does not.
func (c *conn) id() uint64 {
	switch {
	case c.stream != nil:
		return c.stream.id
	case c.opener != nil:
		return c.opener.ID
	}
	return 0
}

const (
	helloWithin = 2 * time.Second  // a connection says who it is within this time, or is closed
	lingerFor   = 30 * time.Second // an open without a connection is kept for so long
)

// Keys of the poller below firstSeat are not connections.
const (
	keyListener = iota
	keyLink
	keyPeer
	firstSeat
)

// seats is the table of connections; the index is the poller's key.
type seats struct {
	all  []*conn
	free []int
	// by opener
	of map[uint64]*conn
}

// take gives c the next free seat.
func (s *seats) take(c *conn) {
	if n := len(s.free); n > 0 {
		c.seat = s.free[n-1]
		s.free = s.free[:n-1]
		s.all[c.seat-firstSeat] = c
		return
	}
	c.seat = len(s.all) + firstSeat
	s.all = append(s.all, c)
}

// at returns the connection in a seat, or nil.
func (s *seats) at(seat int) *conn {
	if i := seat - firstSeat; i >= 0 && i < len(s.all) {
		return s.all[i]
	}
	return nil
}

// leave frees the seat of c.
func (s *seats) leave(c *conn) {
	if s.at(c.seat) != c {
		return
	}
	s.all[c.seat-firstSeat] = nil
	s.free = append(s.free, c.seat)
	if id := c.id(); id != 0 && s.of[id] == c {
		delete(s.of, id)
	}
}

// bind notes that c is the connection of its opener, or stream.
func (s *seats) bind(c *conn) {
	if s.of == nil {
		s.of = map[uint64]*conn{}
	}
	s.of[c.id()] = c
}

// each calls f for every connection. f may free the seat of the connection it is given.
func (s *seats) each(f func(*conn)) {
	for _, c := range s.all {
		if c != nil {
			f(c)
		}
	}
}
