// Package beat is the heartbeat of a Go program: a word in memory that it shares with HAM, and bumps.
//
// Its invariant: to beat costs one atomic addition, never blocks and never fails, whatever has become of HAM; and whatever a
// watched program does to its words, reading them does no harm to HAM.
//
// A program keeps its words in a memfd called "tandem-beat", of 64-byte slots: slot 0 holds the magic number, every other
// one the hash of an entity's name and a counter, up to the first one that is empty. HAM finds the memfd among the descriptors
// of the process, under /proc/<pid>/fd, and maps it. So nothing has to be sent, and the other half of HAM finds it too. It
// maps nothing that could be cut short (F_SEAL_SHRINK).
package beat

import (
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	memfdName = "tandem-beat"
	size      = 1 << 20 // of address space: pages are used as slots are
	slotSize  = 64      // a cache line: words of one program do not slow each other down
	magic     = 0x1762_7461_6542_6454
	empty     = 0 // no slot from here on has been used
	free      = 1 // a slot whose word was closed
)

// ErrFull says that a program has as many words as fit a Page: 16383.
var ErrFull = errors.New("no room for a heartbeat word")

// slot is how a word lies in memory.
type slot struct {
	hash  uint64
	count uint64
	_     [slotSize - 16]byte
}

// Page holds the heartbeat words of this process.
type Page struct {
	fd int

	mu     sync.Mutex
	mem    []byte
	used   int   // slots that have been in use, the first one apart
	closed []int // and are no more
}

// Word is one heartbeat. Close it before its Page.
type Word struct {
	page *Page
	at   int
	slot *slot
}

// New returns a page without words.
func New() (*Page, error) {
	fd, err := unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot create heartbeat words: %w", err)
	}
	p := &Page{fd: fd}
	if err = unix.Ftruncate(fd, size); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	}
	if err == nil {
		p.mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot create heartbeat words: %w", err)
	}
	atomic.StoreUint64(&slotAt(p.mem, 0).hash, magic)
	return p, nil
}

// Word returns a heartbeat for the entity of that name. The error is ErrFull when there is no room.
func (p *Page) Word(entity string) (*Word, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.used + 1
	switch n := len(p.closed); {
	case n > 0:
		at, p.closed = p.closed[n-1], p.closed[:n-1]
	case at < size/slotSize:
		p.used++
	default:
		return nil, ErrFull
	}
	w := &Word{p, at, slotAt(p.mem, at)}
	atomic.StoreUint64(&w.slot.hash, hashOf(entity))
	return w, nil
}

// Beat says that the program is well. Any goroutine may call it, as often as it likes.
func (w *Word) Beat() { atomic.AddUint64(&w.slot.count, 1) }

// Close gives the word back. No Beat may follow.
func (w *Word) Close() {
	w.page.mu.Lock()
	defer w.page.mu.Unlock()
	atomic.StoreUint64(&w.slot.hash, free)
	w.page.closed = append(w.page.closed, w.at)
}

// Close takes all words away. No Beat may follow.
func (p *Page) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mem == nil {
		return nil
	}
	err := unix.Munmap(p.mem)
	p.mem = nil
	unix.Close(p.fd)
	return err
}

func slotAt(mem []byte, i int) *slot { return (*slot)(unsafe.Pointer(&mem[i*slotSize])) }

// hashOf names an entity in a slot.
func hashOf(entity string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(entity))
	return max(h.Sum64(), free+1)
}
