package checkpoint

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/1fb4ed1c/tandem/internal/futex"
)

// swap ends a live log with Sealed, HandedOver or Closed and returns the state that it has then, which is
// another one if somebody was faster.
func (p *shared) swap(base uint32, to State) State {
	for {
		old := p.word.Load()
		if s := stateOf(old, base); s != Live {
			return s
		}
		if p.word.CompareAndSwap(old, finalWord(base, to, old&offsetMask)) {
			p.wakeWriter() // there will never be the room it waits for
			return to
		}
	}
}

// finalWord is the commit word of a log that ended in the given state.
func finalWord(base uint32, s State, offset uint64) uint64 {
	switch s {
	case Closed:
		return packWord(base, offset) | byWriter
	case HandedOver:
		return packWord(base+1, offset) | byWriter
	case TakenBack:
		return packWord(base+2, offset) | byWriter
	}
	return packWord(base+1, offset)
}

// wakeWriter lets a writer in WaitFree look again, if there is one.
func (p *shared) wakeWriter() {
	if p.waiting.Load() == 0 {
		return
	}
	atomic.AddUint32(&p.room, 1)
	futex.Wake(&p.room, math.MaxInt32)
}

// Close swaps the reader out. See Appender.
func (w *Writer) Close() error {
	switch w.swap(Closed) {
	case Closed, TakenBack:
		return nil
	case Sealed, HandedOver:
		return ErrSealed
	}
	return w.noSwap("close")
}

// HandOver swaps to the next epoch for the reader. See Appender.
func (w *Writer) HandOver() error {
	switch w.swap(HandedOver) {
	case HandedOver:
		w.bell()
		return nil
	case Sealed:
		return ErrSealed
	case Closed, TakenBack:
		return ErrClosed
	}
	return w.noSwap("hand over")
}

func (w *Writer) noSwap(what string) error {
	if w.refused != nil {
		return w.refused
	}
	return fmt.Errorf("cannot %s: %w: commit word %#x", what, ErrCorrupt, w.word.Load())
}

// swap ends a live log with the given state and returns the state it has then. It touches shared memory
// only, so any goroutine may call it: a Commit that loses the race against it is refused like any other.
func (w *Writer) swap(to State) State {
	if w.refused != nil {
		return Broken
	}
	return w.page.swap(w.epoch, to)
}
