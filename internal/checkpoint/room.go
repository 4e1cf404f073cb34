package checkpoint

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/1fb4ed1c/tandem/internal/futex"
)

const (
	lookEvery = 64       // records between two looks at whether the reader is napping
	napUnread = 32 << 10 // bytes that may wait for a napping reader
)

// refresh looks how much the reader has released. It says false if the tail makes no sense.
func (w *Writer) refresh() bool {
	used, size := distance(w.page.tail.Load(), w.committed), w.mask+1
	if used > size {
		return false
	}
	w.tail = w.committed - used
	w.limit = w.tail + size
	w.mark = w.tail + size/2 + 1
	return true
}

// makeRoom says why a record does not fit, after a look at the reader's side, or nil if it does after all.
func (w *Writer) makeRoom(kind Kind, n int) error {
	switch {
	case w.err != nil:
		return w.err
	case kind == 0:
		return ErrBadKind
	case uint64(n) > w.maxPayload:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, w.maxPayload)
	case w.word.Load() != w.published:
		return w.lost()
	case !w.refresh():
		return w.corruptTail()
	case w.head+uint64(recordSize(n)) > w.limit:
		return ErrFull
	}
	return nil
}

func (w *Writer) corruptTail() error {
	w.Discard()
	w.limit = 0
	w.err = fmt.Errorf("%w: the reader has released up to %#x, committed is %#x", ErrCorrupt, w.page.tail.Load(), w.committed&offsetMask)
	return w.err
}

// look rings the bell if the reader should come: see Segment.Writer.
func (w *Writer) look() {
	w.lookAt = w.seq + lookEvery
	if w.head < w.mark && (w.head-w.tail <= napUnread || w.page.napping.Load() == 0) {
		return
	}
	if !w.refresh() {
		w.limit = 0 // the next Reserve says so
		return
	}
	half, unread := (w.mask+1)/2, w.head-w.tail
	if unread <= half {
		if unread > napUnread && w.page.napping.CompareAndSwap(1, 0) {
			w.rung = w.head
			w.bell()
		}
		return
	}
	if w.head-w.rung >= half/2 {
		w.rung = w.head
		w.bell()
	}
	w.mark = w.rung + half/2
}

// Free returns how much fits now. See Appender. It looks at the reader's side each time: a caller who waits until more
// than some part of the ring is free would wait for ever for what was seen before.
func (w *Writer) Free() int {
	if w.err == nil && !w.refresh() {
		_ = w.corruptTail()
	}
	if w.head+recordHeader >= w.limit {
		return 0
	}
	return int(w.limit - w.head - recordHeader)
}

// WaitFree waits for room. See Appender.
func (w *Writer) WaitFree(n int, timeout time.Duration) error {
	err := w.makeRoom(1, n)
	if err != ErrFull || timeout <= 0 || w.head-w.committed+uint64(recordSize(n)) > w.mask+1 {
		return err
	}
	w.rung = w.committed
	w.bell()
	deadline := time.Now().Add(timeout)
	w.page.waiting.Store(1)
	defer w.page.waiting.Store(0)
	for {
		// The order matters: the word is read before the condition, and the reader changes the condition
		// before the word. So whatever happens after makeRoom's look keeps futex.Wait from sleeping.
		seen := atomic.LoadUint32(&w.page.room)
		if err := w.makeRoom(1, n); err != ErrFull {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return ErrFull
		}
		futex.Wait(&w.page.room, seen, left)
	}
}
