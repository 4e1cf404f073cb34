package checkpoint

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Writer is the one writer of a log on shared memory.
//
// It keeps its own copy of everything it needs, so that an append touches no cache line that the reader writes.
// Offsets are absolute and are reduced only where they go into shared memory or index the ring.
type Writer struct {
	ring       unsafe.Pointer // mapped twice in a row
	word       *atomic.Uint64
	mask       uint64
	maxPayload uint64
	epochWord  uint64 // the epoch's part of the commit word and of the record header

	head   uint64 // where the next record goes
	limit  uint64 // what head may not pass; 0 once the log has ended for this writer
	seq    uint64 // of the last reserved record
	due    uint64 // header and payload of the last reserved record, in bytes, if its checksum is still to be done
	dueAt  uint64 // where in the ring that record is
	mark   uint64 // head at which more than half of the ring looks unread
	lookAt uint64 // seq at which to look whether the reader is napping

	published uint64 // the commit word as this writer last swapped it
	committed uint64 // head at that time
	lastSeq   uint64 // seq at that time
	tail      uint64 // what the reader had released when last looked
	rung      uint64 // committed when the bell last rang
	err       error  // why the log has ended

	page    *shared
	epoch   uint32
	bell    func()
	refused error // this is not the log's writer
}

var _ Appender = (*Writer)(nil)

func newWriter(s *Segment, bell func()) *Writer {
	if bell == nil {
		bell = func() {}
	}
	word := s.page.word.Load()
	start := word & offsetMask
	w := &Writer{
		ring: unsafe.Pointer(&s.ring[0]), word: &s.page.word, page: s.page, bell: bell,
		mask: uint64(s.size - 1), maxPayload: uint64(s.size / 4), epoch: s.epoch, epochWord: uint64(s.epoch) << 32,
		head: start, committed: start, published: word, seq: s.firstSeq - 1, lastSeq: s.firstSeq - 1,
		rung: start - uint64(s.size/4), lookAt: s.firstSeq - 1 + lookEvery,
	}
	w.refused = claim(&s.page.hasWriter)
	switch {
	case w.refused != nil:
		w.err = w.refused
	case stateOf(word, s.epoch) != Live:
		_ = w.lost()
	case !w.refresh():
		w.err = ErrCorrupt
	}
	if w.err != nil {
		w.limit = 0
	}
	return w
}

// Reserve adds a record to the pending batch. See Appender.
func (w *Writer) Reserve(kind Kind, n int) ([]byte, error) {
	size := uint64(recordSize(n))
	// A tail call for all that is rare, or a batch, keeps the registers of the way through free.
	if w.due != 0 || uint64(n) > w.maxPayload || w.head+size > w.limit || kind == 0 {
		return w.reserveSlowly(kind, n)
	}
	at := w.head & w.mask
	w.head += size
	w.seq++
	w.due, w.dueAt = recordHeader+uint64(n), at
	rec := unsafe.Add(w.ring, at) // the ring is mapped twice: size bytes from here are in it
	h := (*[recordHeader]byte)(rec)
	binary.LittleEndian.PutUint64(h[0:], uint64(kind)<<32|uint64(n))
	binary.LittleEndian.PutUint64(h[8:], w.epochWord) // and no checksum yet
	binary.LittleEndian.PutUint64(h[16:], w.seq)
	return unsafe.Slice((*byte)(unsafe.Add(rec, recordHeader)), n), nil
}

// reserveSlowly does what has to come before a record can be reserved, and reserves it.
func (w *Writer) reserveSlowly(kind Kind, n int) ([]byte, error) {
	if w.due != 0 {
		w.complete()
		w.due = 0
	} else if err := w.makeRoom(kind, n); err != nil {
		return nil, err
	}
	return w.Reserve(kind, n)
}

// complete puts the checksum into the last reserved record, whose payload is filled by now. The caller sets due to 0, which
// is what keeps this small enough to be inlined.
func (w *Writer) complete() {
	h := (*[recordHeader]byte)(unsafe.Add(w.ring, w.dueAt))
	payload := unsafe.Slice((*byte)(unsafe.Add(w.ring, w.dueAt+recordHeader)), w.due-recordHeader)
	binary.LittleEndian.PutUint32(h[8:], sum(h, payload))
}

// Commit publishes the pending batch. See Appender.
func (w *Writer) Commit() error {
	if w.head == w.committed {
		return w.check()
	}
	if w.due != 0 {
		w.complete()
		w.due = 0
	}
	// The epoch and the swapped bit stay as they are: packWord would only repeat them.
	next := w.published&^offsetMask | w.head&offsetMask
	if !w.word.CompareAndSwap(w.published, next) {
		return w.lost()
	}
	w.published, w.committed, w.lastSeq = next, w.head, w.seq
	if w.head >= w.mark || w.seq >= w.lookAt {
		w.look()
	}
	return nil
}

// check says whether the log is still open.
func (w *Writer) check() error {
	if w.err != nil {
		return w.err
	}
	if w.word.Load() != w.published {
		return w.lost()
	}
	return nil
}

// lost finds out who swapped the commit word. The log has ended for this writer.
func (w *Writer) lost() error {
	w.Discard()
	w.limit = 0
	switch stateOf(w.word.Load(), w.epoch) {
	case Sealed, HandedOver:
		w.err = ErrSealed
	case Closed, TakenBack:
		w.err = ErrClosed
	default: // still live, but not where this writer left it: somebody else writes
		w.err = fmt.Errorf("%w: commit word %#x, want %#x", ErrCorrupt, w.word.Load(), w.published)
	}
	return w.err
}

// Discard drops the pending batch. See Appender.
func (w *Writer) Discard() { w.head, w.seq, w.due = w.committed, w.lastSeq, 0 }

// Seq returns the sequence number of the last committed record. See Appender.
func (w *Writer) Seq() uint64 { return w.lastSeq }

// MaxPayload returns a quarter of the ring. See Appender.
func (w *Writer) MaxPayload() int { return int(w.maxPayload) }
