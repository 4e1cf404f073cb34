package filestate

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Space is reserved when a write is planned, so that what was promised can be done: a disk that is full then is an error
// before anything has happened. Appends reserve in pieces, for a reservation costs about as much as a write.

const (
	piece      = 1 << 20 // bytes reserved ahead of an append
	leastAhead = 4 << 10 // a page; with less room than that, nothing is reserved ahead
)

// probe finds out whether the file system can do what reserve, Do and release need, behind the end of the file.
func (f *File) probe() error {
	err := f.allocate(unix.FALLOC_FL_KEEP_SIZE, f.st.Size, 1)
	if err == nil || noSpace(err) {
		err = f.punch(span{f.st.Size, f.st.Size + 1})
		f.release()
	}
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		err = fmt.Errorf("%w: %w", ErrNoReserve, err)
	}
	return err
}

// reserve makes sure that n bytes at off can be written. When the disk is nearly full it takes less ahead, down to none.
func (f *File) reserve(off, n int64) error {
	end := off + n
	if n == 0 || off >= f.ahead.from && end <= f.ahead.to {
		return nil
	}
	if err := f.enough(min(n, end-f.st.Size)); err != nil {
		return err
	}
	to := end
	if end > f.st.Size {
		to = max(end, off+piece)
	}
	err := f.allocate(unix.FALLOC_FL_KEEP_SIZE, off, to-off)
	for noSpace(err) && to > end {
		if to = end + (to-end)/2; to-end < leastAhead {
			to = end
		}
		err = f.allocate(unix.FALLOC_FL_KEEP_SIZE, off, to-off)
	}
	if err != nil {
		f.giveBack()
		return err
	}
	if end > f.st.Size {
		f.ahead = span{off, to}
	}
	return nil
}

// enough refuses n more bytes than the disk has room for. Some file systems would reserve all that is left before they find out.
func (f *File) enough(n int64) error {
	if n <= piece {
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(f.fd, &fs); err != nil {
		return err
	}
	if uint64(n/int64(fs.Bsize)) > fs.Bfree {
		return unix.ENOSPC
	}
	return nil
}

// giveBack frees what an attempt that failed may have reserved nevertheless: at once, or after what is pending has been
// written into what is reserved for it.
func (f *File) giveBack() {
	if f.excess = len(f.st.Pending) > 0; !f.excess {
		f.release()
	}
}

// release frees everything that is reserved behind the end of the file, and nothing if others have made it longer.
func (f *File) release() {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err == nil && st.Size == f.st.Size {
		_ = f.truncate(st.Size)
	}
	f.ahead, f.excess = span{}, false
}

func noSpace(err error) bool { return err == unix.ENOSPC || err == unix.EDQUOT }

// punch makes a span read as zeros, and frees it.
func (f *File) punch(s span) error {
	if s.from >= s.to {
		return nil
	}
	return f.allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.from, s.to-s.from)
}

func (f *File) allocate(mode uint32, off, n int64) error {
	for {
		err := unix.Fallocate(f.fd, mode, off, n)
		if err != unix.EINTR { // by a signal of the Go runtime, for example
			return err
		}
	}
}
