package pair

import (
	"errors"
	"fmt"
	"strings"
)

// stream is what both members know of one client's connection: how far either direction is accounted for by records. It
// is pure: positions count bytes from the beginning of the connection, and how far the socket itself got is told to it.
//
// The invariant: read from the socket ≤ in, and written to the socket ≥ out-len(tail). So a new primary finds in the
// records all it needs to go on wherever the old one stopped.
type stream struct {
	id     uint64
	remote string
	addr   string // of the listener, as the program names it
	in     uint64 // bytes accounted for: those of the requests handled, and held
	held   []byte // the beginning of a request, the last bytes of in
	said   bool   // Interim had something to say about held
	out    uint64 // bytes of all replies
	tail   []byte // the last of them: what may not be written yet
	spare  *tails // where a large tail comes from, and goes to when it is empty; nil: nowhere
	last   bool   // hang up when everything is written

	taken  uint64 // bytes taken from the socket: what a primary knows of itself
	unsure bool   // only the kernel knows how far the old primary got
	waits  bool   // its next request waits until the pair is protected (see suspect.go)
	noted  bool   // the next snapshot brings it
}

// Stream IDs are told from those of opens by their highest bit. Below it is the epoch of the primary that accepted the connection, so
// that no two primaries give the same.
const (
	streamBit     = 1 << 63
	streamCounter = 40
)

func streamID(epoch uint32, n uint64) uint64 {
	return streamBit | uint64(epoch)<<streamCounter&(streamBit-1) | n&(1<<streamCounter-1)
}

func isStream(opener uint64) bool { return opener&streamBit != 0 }

// names tells where the stream comes from and where it was accepted.
func (s *stream) names() string { return s.remote + "\x00" + s.addr }

// named is the reverse.
func (s *stream) named(names string) (ok bool) {
	s.remote, s.addr, ok = strings.Cut(names, "\x00")
	return ok
}

// written is how far the replies are known to be written.
func (s *stream) written() uint64 { return s.out - uint64(len(s.tail)) }

// start is the position of the first byte that no request handled so far contains.
func (s *stream) start() uint64 { return s.in - uint64(len(s.held)) }

// handled takes note of a request that ends at position in, and its reply. It contains what was held.
func (s *stream) handled(in uint64, reply []byte, last bool) {
	s.in, s.held, s.said, s.last = in, s.held[:0], false, s.last || last
	s.plan(reply)
}

// holds takes note of more bytes of a request that is not complete, up to position in, and what was said to it.
func (s *stream) holds(in uint64, part, interim []byte) {
	s.in, s.held, s.said = in, append(s.held, part...), s.said || len(interim) > 0
	s.plan(interim)
}

func (s *stream) plan(reply []byte) {
	if n := len(s.tail) + len(reply); n > cap(s.tail) && n > keepTail {
		s.tail = append(s.spare.take(n), s.tail...)
	}
	s.tail = append(s.tail, reply...)
	s.out += uint64(len(reply))
}

// wrote takes note that the replies are written up to position at.
func (s *stream) wrote(at uint64) {
	n := int(at - s.written())
	if n == len(s.tail) {
		s.tail = s.tail[:0]
		if cap(s.tail) > keepTail {
			s.spare.give(s.tail)
			s.tail = nil
		}
		return
	}
	s.tail = s.tail[:copy(s.tail, s.tail[n:])]
}

// keepTail is the largest buffer that an idle connection keeps, in bytes.
const keepTail = 4 << 10

// tails are buffers for the tails of busy connections, which would otherwise be made anew for every few requests.
type tails struct{ free [][]byte }

const (
	spareTails = 64
	spareMost  = 512 << 10 // bytes of one
)

// take returns an empty buffer, with room for n bytes if there is one.
func (t *tails) take(n int) []byte {
	if t != nil {
		if last := len(t.free) - 1; last >= 0 {
			b := t.free[last]
			t.free = t.free[:last]
			return b
		}
	}
	return make([]byte, 0, 2*n)
}

func (t *tails) give(b []byte) {
	if t != nil && len(t.free) < spareTails && cap(b) <= spareMost {
		t.free = append(t.free, b[:0])
	}
}

// heard is wrote, from the other member: what it says of positions outside of what is kept changes nothing.
func (s *stream) heard(at uint64) {
	if at > s.written() && at <= s.out {
		s.wrote(at)
	}
}

var errPositions = errors.New("the connection is not where the records say")

// recover compares the records with how far the old primary got: it has taken read bytes from the socket and put
// written bytes into it. It returns how many bytes are to be taken unread, for they are accounted for. The tail is then what
// is still to be written.
func (s *stream) recover(read, written uint64) (discard int, err error) {
	if read > s.in || written < s.written() || written > s.out {
		return 0, fmt.Errorf("%w: read %d, expected at most %d; written %d, expected %d to %d",
			errPositions, read, s.in, written, s.written(), s.out)
	}
	s.wrote(written)
	s.taken, s.unsure = s.in, false
	return int(s.in - read), nil
}

// Flags of a stream's record.
const (
	streamLast  = 1 << iota // hang up after this reply
	streamSaid              // Interim had something to say about what is held
	streamMore              // goes on where the record before stopped
	streamNames = 8         // from this bit on: the length of the two addresses
)

// record describes the whole stream, but for what is passed of tail and held: they may need several records.
func (s *stream) record(tail, held []byte, more bool) commitRecord {
	names := s.names()
	flags := int64(len(names)) << streamNames
	if s.last {
		flags |= streamLast
	}
	if s.said {
		flags |= streamSaid
	}
	if more {
		flags |= streamMore
	}
	return commitRecord{opener: s.id, id: s.in, low: s.written(), code: flags, reply: tail, changes: append([]byte(names), held...)}
}

// restore takes a description over.
func (s *stream) restore(r *commitRecord) error {
	n := uint64(r.code) >> streamNames
	if n > uint64(len(r.changes)) {
		return fmt.Errorf("cannot read a connection: %w", errMalformedRecord)
	}
	if !isStream(r.opener) || !s.named(string(r.changes[:n])) {
		return fmt.Errorf("cannot read a connection: %w", errMalformedRecord)
	}
	if r.code&streamMore == 0 {
		s.held, s.tail = s.held[:0], s.tail[:0]
	}
	s.id, s.in = r.opener, r.id
	s.last, s.said = r.code&streamLast != 0, r.code&streamSaid != 0
	s.held, s.tail = append(s.held, r.changes[n:]...), append(s.tail, r.reply...)
	s.out = r.low + uint64(len(s.tail))
	return nil
}

// parts calls f with records that describe the whole stream, none with more than most bytes of content.
func (s *stream) parts(most int, f func(commitRecord) bool) {
	tail, held := s.tail, s.held
	for more := false; ; more = true {
		t := tail[:min(len(tail), most)]
		h := held[:min(len(held), most-len(t))]
		tail, held = tail[len(t):], held[len(h):]
		if !f(s.record(t, h, more)) || len(tail)+len(held) == 0 {
			return
		}
	}
}
