package handover

import (
	"sync/atomic"
	"unsafe"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
)

// plainRing is the least that could hand bytes to another process.
type plainRing struct {
	ring       []byte
	word, tail *atomic.Uint64 // what has been written, and what the reader has released
	tcp        *atomic.Uint64 // how many bytes the reader has read from its TCP socket, whose other end cannot tell
	head       uint64
}

// plainPage is where the words of a plain ring lie, in lines of their own, before the ring.
const plainPage = 4096

func mapPlain(fd int) (*plainRing, error) {
	at, b, err := subject.MapShared(fd, plainPage+ringSize)
	if err != nil {
		return nil, err
	}
	word := func(offset int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Add(at, offset)) }
	return &plainRing{ring: b[plainPage:], word: word(0), tail: word(128), tcp: word(256)}, nil
}

func (p *plainRing) copy(payload []byte, n int) error {
	size := uint64(len(payload))
	for range n {
		copy(p.ring[p.head&(ringSize-1):], payload) // sizes are powers of two: no payload wraps
		p.head += size
		p.word.Store(p.head)
	}
	return nil
}

// largest is the payload that the beginning of each round is aligned to, so that none wraps.
const largest = 16 << 10

func (p *plainRing) room() error {
	if p.head%largest != 0 {
		p.head += largest - p.head%largest
		p.word.Store(p.head)
	}
	return await(func() (bool, error) { return p.head-p.tail.Load() <= ringSize/4, nil })
}

// drain reads all there is.
func (p *plainRing) drain(buf []byte) {
	for head := p.word.Load(); p.head < head; {
		at := p.head & (ringSize - 1)
		p.head += uint64(copy(buf, p.ring[at:min(at+head-p.head, ringSize)]))
	}
	p.tail.Store(p.head)
}
