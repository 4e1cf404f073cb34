package proc

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/1fb4ed1c/tandem/internal/futex"
)

// ErrLit says that the cell already serves, or has served, another Beacon.
var ErrLit = errors.New("cell is in use")

// The word of a cell is that of a robust futex (get_robust_list(2)), to which
// the kernel at the owner's death does:
//
//	if word&tidMask == tid { word = word&waiters | ownerDied; wake one waiter if word&waiters }
//
// It looks at ownerDied never. That leaves the bit free to say "rung" while a
// tid is there.
//
//	0                          dark
//	waiters                    dark, rung
//	waiters | tid              lit
//	waiters | ownerDied | tid  lit, rung
//	waiters | ownerDied        dead
const (
	waiters   = 0x8000_0000 // FUTEX_WAITERS: preset, or the kernel would wake nobody
	ownerDied = 0x4000_0000 // FUTEX_OWNER_DIED
	tidMask   = 0x3fff_ffff // FUTEX_TID_MASK

	dead     = waiters | ownerDied
	darkRung = waiters
)

// Cell is the place in shared memory where one process learns that another has
// died. The watched process lights a [Beacon] in it, one other process waits on
// it: the kernel wakes a single waiter, so every watcher has a cell of its own.
// The zero value is dark.
type Cell struct {
	word uint32
	_    uint32
	_    uint64
}

// Lit reports whether a beacon burns in the cell: its process lives, and has
// announced nothing.
func (c *Cell) Lit() bool { return c.TID() != 0 }

// Dead reports whether the beacon's process has died, or announced that it will.
func (c *Cell) Dead() bool { return atomic.LoadUint32(&c.word) == dead }

// TID returns the thread that keeps the beacon, numbered in the pid namespace of
// its own process; 0 when the cell is not lit.
func (c *Cell) TID() int { return int(atomic.LoadUint32(&c.word) & tidMask) }

// Wait sleeps until the owner of the cell is dead and then reports true. It
// returns false when the timeout is over (0 or less: no limit), or when the cell has
// been rung since the last Wait, which a beacon does that is extinguished.
//
// The sleep is a blocking system call, outside the Go scheduler until it ends. A
// goroutine in it costs a thread.
func (c *Cell) Wait(timeout time.Duration) (died bool) {
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	for {
		word := atomic.LoadUint32(&c.word)
		switch {
		case word == dead:
			return true
		case rung(word):
			if atomic.CompareAndSwapUint32(&c.word, word, unring(word)) {
				return false
			}
			continue
		}
		left := time.Duration(0)
		if timeout > 0 {
			if left = time.Until(deadline); left <= 0 {
				return false
			}
		}
		futex.Wait(&c.word, word, left)
	}
}

// Ring makes the present or else the next Wait return, without news of death. No
// ring is lost, several before one Wait count as one. It never hides a death.
func (c *Cell) Ring() {
	for {
		word := atomic.LoadUint32(&c.word)
		if word == dead || rung(word) {
			return // Wait returns anyhow
		}
		if atomic.CompareAndSwapUint32(&c.word, word, ring(word)) {
			futex.Wake(&c.word, 1)
			return
		}
	}
}

// claim lights the cell for a thread. A ring that nobody has heard yet stays. There is
// nobody to wake: who waits on a dark cell goes on, now until death.
func (c *Cell) claim(tid uint32) error {
	for {
		word := atomic.LoadUint32(&c.word)
		if word&^waiters != 0 {
			return fmt.Errorf("%w: word %#x", ErrLit, word)
		}
		next := waiters | tid
		if rung(word) {
			next = ring(next)
		}
		if atomic.CompareAndSwapUint32(&c.word, word, next) {
			return nil
		}
	}
}

// replace puts next in the place of a thread's light, if that still burns, and wakes
// the watcher.
func (c *Cell) replace(tid, next uint32) {
	for {
		word := atomic.LoadUint32(&c.word)
		if word&tidMask != tid {
			return
		}
		if atomic.CompareAndSwapUint32(&c.word, word, next) {
			futex.Wake(&c.word, 1)
			return
		}
	}
}

func rung(word uint32) bool {
	if word&tidMask == 0 {
		return word == darkRung
	}
	return word&ownerDied != 0
}

// ring is for words neither rung nor dead.
func ring(word uint32) uint32 {
	if word&tidMask == 0 {
		return darkRung
	}
	return word | ownerDied
}

// unring is for rung words.
func unring(word uint32) uint32 {
	if word&tidMask == 0 {
		return 0
	}
	return word &^ ownerDied
}
