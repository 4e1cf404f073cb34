package checkpoint

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sync/atomic"
)

// Sizes of a ring, in bytes.
const (
	DefaultSize = 8 << 20
	MinSize     = 64 << 10 // or one page where pages are larger
	MaxSize     = 1 << 30
)

const (
	pageSize     = 4096
	recordHeader = 24
	layoutV1     = 1
)

var magic = [8]byte{'T', 'a', 'n', 'd', 'e', 'm', 'C', 'L'}

// shared is page 0 of a log as it lies in memory. What is written by one side is kept 256 bytes away from what
// the other one writes, since processors fetch cache lines in pairs and some have lines of 128 bytes.
type shared struct {
	header [256]byte

	word      atomic.Uint64 // the commit word
	hasWriter atomic.Uint32 // 1 once the writer is taken
	hasReader atomic.Uint32 // 1 once the reader is taken
	waiting   atomic.Uint32 // 1 while the writer sleeps on room
	_         [236]byte
	tail      atomic.Uint64 // offset up to which the reader has released, modulo 2^48
	_         [248]byte
	napping   atomic.Uint32 // 1 while the reader asks to be woken early
	_         [252]byte
	room      uint32 // futex: bumped when a waiting writer has something to look at
	_         [252]byte
}

// header is the constant part of page 0.
type header struct {
	size     int // of the ring, in bytes
	instance [16]byte
	epoch    uint32
	firstSeq uint64
}

// Offsets of the header's fields, all little endian.
const (
	hMagic    = 0
	hVersion  = 8
	hRingAt   = 12 // offset of the ring in the file: differs with the machine's page size
	hSize     = 16
	hInstance = 24
	hEpoch    = 40
	hFirstSeq = 48
	hChecksum = 56
)

func (h *header) encode(dst *[256]byte) {
	le := binary.LittleEndian
	copy(dst[hMagic:], magic[:])
	le.PutUint32(dst[hVersion:], layoutV1)
	le.PutUint32(dst[hRingAt:], uint32(ringAt()))
	le.PutUint64(dst[hSize:], uint64(h.size))
	copy(dst[hInstance:], h.instance[:])
	le.PutUint32(dst[hEpoch:], h.epoch)
	le.PutUint64(dst[hFirstSeq:], h.firstSeq)
	le.PutUint32(dst[hChecksum:], crc32.Checksum(dst[:hChecksum], castagnoli))
}

// decode reads a header that anybody may have written; fileSize is the true size of the file.
func (h *header) decode(src *[256]byte, fileSize int64) error {
	le := binary.LittleEndian
	if got := [8]byte(src[hMagic : hMagic+8]); got != magic {
		return fmt.Errorf("%w: magic %q, want %q", ErrNotLog, got[:], magic[:])
	}
	if got := le.Uint32(src[hVersion:]); got != layoutV1 {
		return fmt.Errorf("%w: version %d, want %d", ErrNotLog, got, layoutV1)
	}
	if got, want := le.Uint32(src[hChecksum:]), crc32.Checksum(src[:hChecksum], castagnoli); got != want {
		return fmt.Errorf("%w: header checksum %#x, want %#x", ErrNotLog, got, want)
	}
	if got := le.Uint32(src[hRingAt:]); got != uint32(ringAt()) {
		return fmt.Errorf("%w: ring at %d, want %d", ErrNotLog, got, ringAt())
	}
	size := le.Uint64(src[hSize:])
	if size > MaxSize || !validSize(int(size)) {
		return fmt.Errorf("%w: ring of %d bytes, want a power of two from %d to %d", ErrNotLog, size, MinSize, MaxSize)
	}
	if want := int64(ringAt()) + int64(size); fileSize != want {
		return fmt.Errorf("%w: file of %d bytes, want %d", ErrNotLog, fileSize, want)
	}
	h.size = int(size)
	h.instance = [16]byte(src[hInstance : hInstance+16])
	h.epoch = le.Uint32(src[hEpoch:])
	h.firstSeq = le.Uint64(src[hFirstSeq:])
	return nil
}

// ringAt is where the ring begins: after page 0 and the owner page, at a boundary that can be mapped.
func ringAt() int { return max(2*pageSize, os.Getpagesize()) }

func validSize(n int) bool {
	return n >= max(MinSize, os.Getpagesize()) && n <= MaxSize && n&(n-1) == 0
}

// recordSize is the room that a payload of n bytes takes in the ring.
func recordSize(n int) int { return (n + recordHeader + 7) &^ 7 }
