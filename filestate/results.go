package filestate

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// MaxDepth is the largest sync depth of a File, as on NonStop (GPCR25 520).
const MaxDepth = 15

// results are the last operations of one open and what came of them: NonStop's sync block. They are kept in a memfd which
// both members hold, so they outlive the process that wrote them, and what it had begun is found begun.
type results struct {
	fd    int
	depth int
}

// result is one operation: begun when it is first kept, then done. Errors of the plan are results too (code).
type result struct {
	id   uint64
	kind OpKind
	done bool
	code int32
	off  int64
	len  int64
	size int64 // of the file, when it was done
}

// resultSize is the size of a slot. It divides a page, and a write of one slot is one copy inside the kernel: the SIGKILL
// that meets it finds it whole or not begun.
const resultSize = 64

func newResults(depth int) (*results, error) {
	fd, err := newMemfd("tandem-results")
	if err != nil {
		return nil, fmt.Errorf("cannot keep results: %w", err)
	}
	r := &results{fd: fd, depth: depth}
	if err := unix.Ftruncate(fd, r.bytes()); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot keep results: %w", err)
	}
	return r, nil
}

// openResults takes what newResults has made in the other member.
func openResults(fd, depth int) (*results, error) {
	r := &results{fd: fd, depth: depth}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("cannot open the results of an open: %w", err)
	}
	if st.Size != r.bytes() {
		return nil, fmt.Errorf("cannot open the results of an open: %d bytes, expected %d for depth %d: %w", st.Size, r.bytes(), depth, ErrNotThis)
	}
	return r, nil
}

// slots is one more than the depth: the slot in which an operation begins is none of the last depth ones.
func (r *results) slots() int   { return r.depth + 1 }
func (r *results) bytes() int64 { return int64(r.slots() * resultSize) }

// find returns the result kept under id; nil: it is new. ErrTooOld by the rule of nonstop.md §4.4: depth or more came
// after it, or it is not among those kept though later ones are.
func (r *results) find(id uint64) (*result, error) {
	b := make([]byte, r.bytes())
	if _, err := unix.Pread(r.fd, b, 0); err != nil {
		return nil, fmt.Errorf("cannot read the results of an open: %w", err)
	}
	var found *result
	last := uint64(0)
	for ; len(b) > 0; b = b[resultSize:] {
		got := decodeResult(b)
		if got.id == id {
			found = &got
		}
		last = max(last, got.id)
	}
	if last >= id+uint64(r.depth) || found == nil && id <= last {
		return nil, fmt.Errorf("sync ID %d, the last was %d, sync depth %d: %w", id, last, r.depth, ErrTooOld)
	}
	return found, nil
}

// put keeps one result, in the place of the one that came slots before it.
func (r *results) put(v *result) error {
	var b [resultSize]byte
	encodeResult(b[:], v)
	if _, err := unix.Pwrite(r.fd, b[:], int64(v.id%uint64(r.slots()))*resultSize); err != nil {
		return fmt.Errorf("cannot keep a result: %w", err)
	}
	return nil
}

// forget drops what is kept under id.
func (r *results) forget(id uint64) error {
	var b [resultSize]byte
	at := int64(id%uint64(r.slots())) * resultSize
	_, err := unix.Pread(r.fd, b[:], at)
	if err == nil && decodeResult(b[:]).id == id {
		clear(b[:])
		_, err = unix.Pwrite(r.fd, b[:], at)
	}
	if err != nil {
		return fmt.Errorf("cannot forget a result: %w", err)
	}
	return nil
}

func encodeResult(b []byte, v *result) {
	binary.LittleEndian.PutUint64(b, v.id)
	b[8] = byte(v.kind)
	if v.done {
		b[9] = 1
	}
	binary.LittleEndian.PutUint32(b[12:], uint32(v.code))
	binary.LittleEndian.PutUint64(b[16:], uint64(v.off))
	binary.LittleEndian.PutUint64(b[24:], uint64(v.len))
	binary.LittleEndian.PutUint64(b[32:], uint64(v.size))
}

func decodeResult(b []byte) result {
	return result{
		id:   binary.LittleEndian.Uint64(b),
		kind: OpKind(b[8]),
		done: b[9] == 1,
		code: int32(binary.LittleEndian.Uint32(b[12:])),
		off:  int64(binary.LittleEndian.Uint64(b[16:])),
		len:  int64(binary.LittleEndian.Uint64(b[24:])),
		size: int64(binary.LittleEndian.Uint64(b[32:])),
	}
}
