package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
)

// RingReader is the one reader of a log on shared memory. It believes nothing that it reads: whatever the
// memory holds, it returns only records that lie inside the ring and whose checksum, sequence number and epoch are right.
type RingReader struct {
	ring     []byte
	page     *shared
	size     uint64
	epoch    uint32
	pos      uint64 // absolute offset of the next record
	end      uint64 // absolute offset up to which records are known to be committed
	released uint64 // absolute offset of the tail
	seq      uint64 // of the next record
	err      error
	header   [recordHeader]byte
	refused  error // this is not the log's reader
}

var _ Reader = (*RingReader)(nil)

func newReader(s *Segment) *RingReader {
	start := s.page.tail.Load()
	r := &RingReader{
		ring: s.ring, page: s.page, size: uint64(s.size), epoch: s.epoch,
		pos: start, end: start, released: start, seq: s.firstSeq,
	}
	r.refused = claim(&s.page.hasReader)
	r.err = r.refused
	return r
}

// Next returns the next committed record. See Reader.
func (r *RingReader) Next() (Record, error) {
	if r.pos == r.end || r.err != nil {
		if err := r.fetch(); err != nil {
			return Record{}, err
		}
	}
	left := r.end - r.pos
	rec := r.ring[r.pos&(r.size-1):][:left]
	if left < recordHeader {
		return Record{}, r.corrupt("%d bytes are committed, a record has at least %d", left, recordHeader)
	}
	// One copy, so that what was checked is what is used; it is kept here because a local one would be allocated.
	h := &r.header
	copy(h[:], rec)
	n := uint64(binary.LittleEndian.Uint32(h[0:]))
	if n > r.size/4 || uint64(recordSize(int(n))) > left {
		return Record{}, r.corrupt("length %d, %d bytes are committed and %d is the longest payload", n, left, r.size/4)
	}
	payload := rec[recordHeader : recordHeader+n : recordHeader+n]
	want := binary.LittleEndian.Uint32(h[8:])
	binary.LittleEndian.PutUint32(h[8:], 0)
	if got := sum(h, payload); got != want {
		return Record{}, r.corrupt("checksum %#x, want %#x", got, want)
	}
	out := Record{Kind: Kind(h[4]), Epoch: binary.LittleEndian.Uint32(h[12:]), Seq: binary.LittleEndian.Uint64(h[16:]), Payload: payload}
	switch {
	case out.Kind == 0 || h[5]|h[6]|h[7] != 0:
		return Record{}, r.corrupt("kind %x", h[4:8])
	case out.Seq != r.seq:
		return Record{}, r.corrupt("sequence number %d, want %d", out.Seq, r.seq)
	case out.Epoch != r.epoch:
		return Record{}, r.corrupt("epoch %d, want %d", out.Epoch, r.epoch)
	}
	r.pos += uint64(recordSize(int(n)))
	r.seq++
	return out, nil
}

// fetch looks how much the writer has committed.
func (r *RingReader) fetch() error {
	if r.err != nil {
		return r.err
	}
	word := r.page.word.Load()
	if stateOf(word, r.epoch) == Broken {
		return r.corrupt("commit word %#x of epoch %d", word, r.epoch)
	}
	ahead := distance(r.pos, word)
	if ahead == 0 {
		return io.EOF
	}
	if distance(r.released, word) > r.size {
		return r.corrupt("commit word %#x with %#x released", word, r.released&offsetMask)
	}
	r.end = r.pos + ahead
	return nil
}

// corrupt ends the reading of the log.
func (r *RingReader) corrupt(format string, args ...any) error {
	r.err = fmt.Errorf("%w: record %d at offset %#x: %s", ErrCorrupt, r.seq, r.pos, fmt.Sprintf(format, args...))
	return r.err
}

// Release gives back what Next returned. See Reader.
func (r *RingReader) Release() {
	if r.released == r.pos {
		return
	}
	r.released = r.pos
	r.page.tail.Store(r.pos & offsetMask)
	r.page.wakeWriter()
}

// Seal takes over. See Reader.
func (r *RingReader) Seal() (uint32, error) {
	if r.refused != nil {
		return 0, r.refused
	}
	switch r.page.swap(r.epoch, Sealed) {
	case Sealed, HandedOver:
		return r.epoch + 1, nil
	case Closed, TakenBack:
		return 0, ErrClosed
	}
	return 0, fmt.Errorf("cannot seal: %w: commit word %#x of epoch %d", ErrCorrupt, r.page.word.Load(), r.epoch)
}

// State tells what became of the log. See Reader.
func (r *RingReader) State() State { return stateOf(r.page.word.Load(), r.epoch) }

// Unread returns the bytes that are committed and not yet returned. See Reader.
func (r *RingReader) Unread() int {
	return int(min(distance(r.pos, r.page.word.Load()), r.size))
}

// Napping tells the writer whether to ring early. See Reader.
func (r *RingReader) Napping(naps bool) {
	var v uint32
	if naps {
		v = 1
	}
	r.page.napping.Store(v)
}
