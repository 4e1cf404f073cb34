package sock

import (
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxPacket is the longest packet, in bytes, that every socket takes at once: it
// fits the default buffer of Linux (212992 bytes, of which the kernel keeps some).
const MaxPacket = 128 << 10

// Recv reads one packet into buf and returns its length. It never waits: ErrAgain
// when there is none. The error is io.EOF when nobody holds the other end any
// more and all it sent has been read, ErrTooLong when the packet is longer than
// buf; then it is lost.
func Recv(fd int, buf []byte) (n int, err error) {
	n, errno := recvfrom(fd, buf)
	if errno == unix.ECONNRESET {
		// The peer has closed with packets of ours unread. The kernel says so once,
		// and before what it had sent to us.
		n, errno = recvfrom(fd, buf)
	}
	switch {
	case errno != 0:
		return 0, recvError(errno)
	case n == 0:
		return 0, io.EOF
	case n > len(buf):
		return 0, fmt.Errorf("cannot receive: %w: %d bytes, room for %d", ErrTooLong, n, len(buf))
	}
	return n, nil
}

// recvfrom is a raw system call: it cannot block, and so need not tell the
// scheduler. Its n is the length of the packet, even if that is more than buf.
func recvfrom(fd int, buf []byte) (n int, errno unix.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	return int(r), errno
}

// Send sends b as one packet. It never waits: ErrAgain when the peer has too much
// unread. The error is ErrPeerGone when nobody holds the other end, ErrTooLong
// when b fits no buffer of this socket, ErrEmpty when b is empty.
func Send(fd int, b []byte) error {
	if len(b) == 0 {
		return ErrEmpty
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return sendError(errno)
	}
	return nil
}
