package receive

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// firstLook is how long a receive waits in the one system call that also
// receives, before it waits in the slower way that can be interrupted. The
// kernel rounds it up to its tick.
const firstLook = time.Millisecond

// link is one connection, with an eventfd that interrupts whoever receives on
// it. Its descriptors are closed by the last who uses them. Fields and methods
// are guarded by the Conn's lock, except send, receive and wait.
type link struct {
	fd, wake int
	refs     int
}

// newLink owns fd, whatever it returns.
func newLink(fd int) (*link, error) {
	// A blocking descriptor can wait and receive in one call; sock's calls do not
	// wait in either mode.
	tv := unix.NsecToTimeval(int64(firstLook))
	err := unix.SetNonblock(fd, false)
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	}
	var wake int
	if err == nil {
		wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot set up a connection: %w", err)
	}
	return &link{fd: fd, wake: wake, refs: 1}, nil
}

func (l *link) acquire() { l.refs++ }

func (l *link) release() {
	if l.refs--; l.refs == 0 {
		unix.Close(l.fd)
		unix.Close(l.wake)
	}
}

// shutdown makes everybody who waits on the connection notice its end.
func (l *link) shutdown() { _ = unix.Shutdown(l.fd, unix.SHUT_RDWR) }

// interrupt ends the present or the next wait.
func (l *link) interrupt() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(l.wake, one[:]) // EAGAIN: it is interrupted already
}

func (l *link) send(pkt []byte) error { return sock.Send(l.fd, pkt) }

// receive returns the length of the next packet, or sock.ErrAgain after a short
// while without one.
func (l *link) receive(buf []byte) (int, error) {
	n, err := unix.Read(l.fd, buf)
	switch {
	case n > 0:
		return n, nil
	case err == nil:
		return 0, io.EOF
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, sock.ErrAgain
	}
	return sock.Recv(l.fd, buf) // a reset comes before packets that may still be there
}

// wait returns when there is something to receive, the link was interrupted, or
// the timeout is over (below 0: never).
func (l *link) wait(timeout time.Duration) {
	_, interrupted, _ := sock.WaitReadable2(l.fd, l.wake, timeout)
	if interrupted {
		var count [8]byte
		_, _ = unix.Read(l.wake, count[:])
	}
}

// waitWritable returns when a packet may fit, or the connection is over.
func (l *link) waitWritable() {
	fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLOUT}}
	for {
		if _, err := unix.Poll(fds, -1); err != unix.EINTR {
			return
		}
	}
}

// receiveBuffer has room for any packet, and one byte to notice a longer one.
func receiveBuffer() []byte { return make([]byte, wire.MaxPacket+1) }
