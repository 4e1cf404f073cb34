package filestate

import (
	"fmt"
	"io"
	"math"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// unixLink is a unix stream. The kernel does not count its bytes, so they pass through files whose offsets do. The offset
// belongs to the open file, which both members have: it is moved by the same system call that moves the bytes, and stays
// where the last such call of a process that died has left it.
//
//   - Input goes from the socket into a pipe, and from there to its position in a memfd (splice); the memfd's offset is
//     the end of what has come. What a dead process left in the pipe is the next to be moved.
//   - Output is put at its position into another memfd, and sent from there (sendfile); that one's offset is the end
//     of what was sent.
//
// Both become holes behind what is used up.
type unixLink struct {
	fd           int
	pipeR, pipeW int
	in, out      int
	put          uint64 // end of what this process has put into out
	inHole       uint64 // both memfds have a hole up to there
	outHole      uint64
}

var _ link = (*unixLink)(nil)

// unixFDs is how many descriptors a unixLink has.
const unixFDs = 5

// holeStep is how much is used up until it is freed.
const holeStep = 64 << 10

func newUnixLink(fd int) (link, error) {
	l := &unixLink{fd: fd, pipeR: -1, pipeW: -1, in: -1, out: -1}
	pipe := [2]int{-1, -1}
	err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
	if l.pipeR, l.pipeW = pipe[0], pipe[1]; err == nil {
		l.in, err = newMemfd("tandem-input")
	}
	if err == nil {
		l.out, err = newMemfd("tandem-output")
	}
	if err != nil {
		closeAll(l.fds())
		return nil, err
	}
	return l, nil
}

func openUnixLink(fds []int) link {
	return &unixLink{fd: fds[0], pipeR: fds[1], pipeW: fds[2], in: fds[3], out: fds[4]}
}

func (l *unixLink) network() string { return "unix" }
func (l *unixLink) fds() []int      { return []int{l.fd, l.pipeR, l.pipeW, l.in, l.out} }

func (l *unixLink) peek(at uint64, b []byte) (int, error) {
	end, err := l.fill(at + uint64(len(b)))
	have := int(min(end-at, uint64(len(b))))
	if have == 0 {
		return 0, err
	}
	n, err := unix.Pread(l.in, b[:have], int64(at))
	if err == nil && n < have {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// fill moves input into its memfd until that reaches position want, and returns how far it got: with an error if that
// is not as far as that.
func (l *unixLink) fill(want uint64) (end uint64, err error) {
	if end, err = offset(l.in); err != nil {
		return 0, err
	}
	for end < want {
		n, err := l.splice(l.pipeR, l.in, math.MaxInt32) // first what a dead process has left there
		if end += uint64(n); err != nil && err != ErrAgain {
			return end, err
		}
		if n > 0 || end >= want {
			continue
		}
		n, err = l.splice(l.fd, l.pipeW, int(want-end))
		if err != nil {
			return end, err
		}
		if n == 0 {
			return end, io.EOF
		}
	}
	return end, nil
}

func (l *unixLink) splice(from, to, n int) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch err {
		case nil:
			return int(moved), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrAgain
		default:
			return 0, fmt.Errorf("cannot move what came: %w", err)
		}
	}
}

func (l *unixLink) consume(to uint64) error { return punchBehind(l.in, to, &l.inHole) }

func (l *unixLink) write(at uint64, b []byte) (n int, err error) {
	end := at + uint64(len(b))
	if from := max(at, l.put); from < end {
		if _, err := unix.Pwrite(l.out, b[from-at:], int64(from)); err != nil {
			return 0, fmt.Errorf("cannot keep what is to be sent: %w", err)
		}
		l.put = end
	}
	for n < len(b) && err == nil {
		var sent int
		sent, err = unix.Sendfile(l.fd, l.out, nil, len(b)-n)
		switch {
		case err == nil && sent == 0:
			err = fmt.Errorf("%w: it has sent more than it was to send", errPositions)
		case err == nil:
			n += sent
		case err == unix.EINTR:
			err = nil
		case err == unix.EAGAIN:
			err = ErrAgain
		case err == unix.EPIPE || err == unix.ECONNRESET:
			err = fmt.Errorf("cannot send: %w: %w", sock.ErrPeerGone, err)
		}
	}
	l.free(at + uint64(n))
	return n, err
}

// free makes a hole behind what was sent. What the peer has not read yet are these very pages, for sendfile does not copy: they are
// spared. They are not more than the socket accounts for.
func (l *unixLink) free(sent uint64) {
	if sent < l.outHole+holeStep {
		return
	}
	if unread, err := unix.IoctlGetInt(l.fd, unix.SIOCOUTQ); err == nil && uint64(unread) < sent {
		_ = punchBehind(l.out, sent-uint64(unread), &l.outHole) // memory that is kept longer than needed
	}
}

func (l *unixLink) resume(in uint64) (written uint64, err error) {
	l.put = 0
	came, err := offset(l.in)
	if err == nil && came < in {
		err = fmt.Errorf("%w: %d bytes came, expected %d or more", errPositions, came, in)
	}
	if err != nil {
		return 0, err
	}
	return offset(l.out)
}

func offset(fd int) (uint64, error) {
	at, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	if err != nil {
		return 0, fmt.Errorf("cannot tell a position: %w", err)
	}
	return uint64(at), nil
}

// punchBehind frees what is before position to, in steps.
func punchBehind(fd int, to uint64, hole *uint64) error {
	if to < *hole+holeStep {
		return nil
	}
	*hole = to
	return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(to))
}
