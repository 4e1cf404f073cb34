package filestate

import (
	"fmt"
	"io"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// tcpLink leaves the input in the kernel until it is used up, and asks the kernel how far a process got that died.
type tcpLink struct {
	fd   int
	read uint64 // bytes taken out of the kernel
}

var _ link = (*tcpLink)(nil)

func (l *tcpLink) network() string { return "tcp" }
func (l *tcpLink) fds() []int      { return []int{l.fd} }

func (l *tcpLink) peek(at uint64, b []byte) (int, error) {
	skip := int(at - l.read)
	if skip == 0 {
		return sock.Peek(l.fd, b)
	}
	all := make([]byte, skip+len(b)) // used up by plan, and still there
	n, err := sock.Peek(l.fd, all)
	if err == nil && n <= skip {
		return 0, ErrAgain
	}
	return copy(b, all[min(skip, n):n]), err
}

func (l *tcpLink) consume(to uint64) error {
	n, err := sock.Discard(l.fd, int(to-l.read))
	l.read += uint64(n)
	if err == nil && l.read < to || err == io.EOF {
		err = fmt.Errorf("%w: %d bytes came, expected %d", errPositions, l.read, to)
	}
	return err
}

func (l *tcpLink) write(_ uint64, b []byte) (int, error) { return sock.Write(l.fd, b) }

func (l *tcpLink) resume(in uint64) (written uint64, err error) {
	if l.read, written, err = TCPPositions(l.fd); err == nil && l.read > in {
		err = fmt.Errorf("%w: %d bytes used up, expected at most %d", errPositions, l.read, in)
	}
	return written, err
}
