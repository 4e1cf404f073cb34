package pair

import (
	"sync/atomic"
	"unsafe"

	"github.com/1fb4ed1c/tandem/internal/proc"
)

// page is what the two members share beside the log: one page of the same memory. Every word has one writer. It lives as
// long as the pairing of two processes; what must outlast them is in the log or in the registry.
type page struct {
	primary proc.Cell // the robust futex of the primary; also the bell of the backup, which waits on it
	_       [48]byte

	primaryBeat atomic.Uint64 // bumped by the primary's serving loop
	_           [56]byte
	backupBeat  atomic.Uint64 // bumped by the backup's loop
	_           [56]byte

	// What the primary has in hand: the request whose handler runs, zeroes when none does. Written with plain stores,
	// before and after every handler: what a killed process has stored is in memory whether atomic or not, and
	// nobody reads it before the process is dead.
	inHand blame
	_      [48]byte

	// The request that was in hand when the primary before this one died.
	suspect      blame
	suspectCount uint64
	_            [40]byte

	lastCause atomic.Uint32 // announced by a dying primary: see announced…
	textLen   atomic.Uint32
	text      [2048]byte // what it had to say
}

// blame names one request: by its open and sync ID, or a timer by opener 0 and its number.
type blame struct {
	opener, id uint64
}

func (b blame) none() bool { return b == blame{} }

// Values of page.lastCause.
const (
	announcedNothing uint32 = iota
	announcedPanic          // a handler panicked; the process serves no more and ends by itself after it has printed why
)

// The page must fit into the page that the log leaves to its owner.
const _ = uint(4096 - unsafe.Sizeof(page{}))

func pageAt(p unsafe.Pointer) *page { return (*page)(p) }

// say leaves the last words of a dying primary.
func (p *page) say(cause uint32, text string) {
	n := copy(p.text[:], text)
	p.textLen.Store(uint32(n))
	p.lastCause.Store(cause)
}

// heard returns them. The length comes from another process and is bounded here.
func (p *page) heard() (cause uint32, text string) {
	n := min(int(p.textLen.Load()), len(p.text))
	return p.lastCause.Load(), string(p.text[:n])
}
