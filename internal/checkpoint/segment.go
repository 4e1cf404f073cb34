package checkpoint

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Config describes a new log.
type Config struct {
	Size     int      // of the ring in bytes: a power of two from 64 KiB to 1 GiB; 0 means 8 MiB
	Instance [16]byte // of the pair
	Epoch    uint32   // of the primary that writes the log; whoever takes over has the next one
	FirstSeq uint64   // sequence number of the first record; 0 means 1
}

// Segment is one mapping of a log. Any number of segments, in one process or in several, may map the same log.
type Segment struct {
	header
	fd   int
	base unsafe.Pointer
	page *shared
	ring []byte // twice the ring's size: the second half is the first one again
}

// Create makes an empty log in a new memfd that can neither shrink nor grow. No page of the ring exists yet: see Populate.
func Create(cfg Config) (*Segment, error) {
	h := header{size: cfg.Size, instance: cfg.Instance, epoch: cfg.Epoch, firstSeq: cfg.FirstSeq}
	if h.size == 0 {
		h.size = DefaultSize
	}
	if h.firstSeq == 0 {
		h.firstSeq = 1
	}
	if !validSize(h.size) {
		return nil, fmt.Errorf("cannot create log: ring of %d bytes is no power of two from %d to %d", h.size, MinSize, MaxSize)
	}
	fd, err := newMemfd(int64(ringAt() + h.size))
	if err != nil {
		return nil, fmt.Errorf("cannot create log: %w", err)
	}
	s, err := mapLog(fd, h.size)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot create log: %w", err)
	}
	s.header = h
	h.encode(&s.page.header)
	s.page.word.Store(packWord(h.epoch, 0))
	return s, nil
}

// Open maps the log behind a descriptor that another process sent. The descriptor stays the caller's: the segment
// keeps one of its own. ErrNotLog: it is no log, it could change its size under the mapping, or its header is damaged.
func Open(fd int) (*Segment, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open log: cannot duplicate its descriptor: %w", err)
	}
	s, err := openOwned(own)
	if err != nil {
		unix.Close(own)
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	return s, nil
}

func openOwned(fd int) (*Segment, error) {
	const needed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: not a memfd: %w", ErrNotLog, err)
	}
	if seals&needed != needed {
		return nil, fmt.Errorf("%w: its size is not sealed (seals %#x)", ErrNotLog, seals)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("cannot stat it: %w", err)
	}
	size := st.Size - int64(ringAt())
	if size > MaxSize || !validSize(int(size)) {
		return nil, fmt.Errorf("%w: file of %d bytes", ErrNotLog, st.Size)
	}
	s, err := mapLog(fd, int(size))
	if err != nil {
		return nil, err
	}
	copied := s.page.header // so that nobody can change it between check and use
	if err := s.decode(&copied, st.Size); err != nil {
		s.unmap()
		return nil, err
	}
	return s, nil
}

// newMemfd makes a sealed memfd of the given size.
func newMemfd(size int64) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("tandem-log", flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("tandem-log", flags)
	}
	if err != nil {
		return -1, fmt.Errorf("cannot create memfd: %w", err)
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot size memfd to %d bytes: %w", size, err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot seal memfd: %w", err)
	}
	return fd, nil
}

// mapLog maps a file of header pages and ring, and the ring once more behind itself.
func mapLog(fd, size int) (*Segment, error) {
	const rw = unix.PROT_READ | unix.PROT_WRITE
	at := ringAt()
	// Reserving the whole range first is what makes the two fixed mappings land next to each other.
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(at+2*size), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("cannot reserve %d bytes of address space: %w", at+2*size, err)
	}
	s := &Segment{
		header: header{size: size},
		fd:     fd,
		base:   base,
		page:   (*shared)(base),
		ring:   unsafe.Slice((*byte)(unsafe.Add(base, at)), 2*size),
	}
	if _, err := unix.MmapPtr(fd, 0, base, uintptr(at+size), rw, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		s.unmap()
		return nil, fmt.Errorf("cannot map: %w", err)
	}
	if _, err := unix.MmapPtr(fd, int64(at), unsafe.Add(base, at+size), uintptr(size), rw, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		s.unmap()
		return nil, fmt.Errorf("cannot map the ring again behind itself: %w", err)
	}
	return s, nil
}

func (s *Segment) unmap() error {
	return unix.MunmapPtr(s.base, uintptr(ringAt()+2*s.size))
}

// Close unmaps the log and closes the segment's descriptor. The segment's writer, its reader, every record that
// lies in the ring and the owner page must not be touched any more. Idempotent.
func (s *Segment) Close() error {
	if s.base == nil {
		return nil
	}
	err := s.unmap()
	if closed := unix.Close(s.fd); err == nil {
		err = closed
	}
	s.base, s.page, s.ring, s.fd = nil, nil, nil, -1
	if err != nil {
		return fmt.Errorf("cannot close log: %w", err)
	}
	return nil
}

// Populate makes every page of the ring exist, so that no append pays for a page fault (some microseconds each 4 KiB, in
// the first lap only). It takes some milliseconds, may run beside the writer and the reader, and changes nothing
// but speed; an error (EINVAL before Linux 5.14) may be ignored.
func (s *Segment) Populate() error {
	if err := unix.Madvise(s.ring[:s.size], unix.MADV_POPULATE_WRITE); err != nil {
		return fmt.Errorf("cannot populate log: %w", err)
	}
	return nil
}

// FD returns the segment's descriptor, to be sent to the other member. It belongs to the segment.
func (s *Segment) FD() int { return s.fd }

// OwnerPage returns the 4096 bytes between header and ring, zero in a new log, that are free for the owner's own use.
func (s *Segment) OwnerPage() unsafe.Pointer { return unsafe.Add(s.base, pageSize) }

// Epoch returns the epoch in which the log is written.
func (s *Segment) Epoch() uint32 { return s.epoch }

// Instance returns the instance of the pair that the log belongs to.
func (s *Segment) Instance() [16]byte { return s.instance }

// Size returns the size of the ring in bytes.
func (s *Segment) Size() int { return s.size }

// State returns what became of the log. Either side may ask at any time.
func (s *Segment) State() State { return stateOf(s.page.word.Load(), s.epoch) }

// Writer returns the log's one writer. Every call of a second one, from whichever segment, fails with ErrInUse.
//
// The writer calls bell, which may be nil and should wake the reader without waiting for it, when more than half of the ring is
// unread, but at most once in a quarter ring of progress; when more than 32 KiB are unread while the reader is
// napping, once for each nap and found out at every 64th record; in WaitFree; and after HandOver.
func (s *Segment) Writer(bell func()) *Writer { return newWriter(s, bell) }

// Reader returns the log's one reader. Every call of a second one, from whichever segment, fails with ErrInUse.
func (s *Segment) Reader() *RingReader { return newReader(s) }

// claim takes one of the two places of a log.
func claim(place *atomic.Uint32) error {
	if !place.CompareAndSwap(0, 1) {
		return ErrInUse
	}
	return nil
}
