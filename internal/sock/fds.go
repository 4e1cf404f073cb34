package sock

import (
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// MaxDescriptors is how many descriptors one packet can carry (SCM_MAX_FD).
const MaxDescriptors = 253

// SendFDs sends b as one packet, with descriptors of the same open files for the
// receiver. The caller's stay open, and are the caller's. Errors are those of
// Send, and ErrNoDescriptors when too many are under way.
func SendFDs(fd int, b []byte, fds ...int) error {
	if len(fds) == 0 {
		return Send(fd, b)
	}
	if len(b) == 0 {
		return ErrEmpty
	}
	if len(fds) > MaxDescriptors {
		return fmt.Errorf("cannot send: %w: %d, at most %d", ErrTooManyDescriptors, len(fds), MaxDescriptors)
	}
	_, err := unix.SendmsgN(fd, b, unix.UnixRights(fds...), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return sendError(err)
}

// RecvFDs reads one packet like Recv, with the descriptors it carries, at most max
// of them. They are close-on-exec, and the caller's from now on. When not all of
// them could come in none does: ErrTooManyDescriptors if the packet has more than
// max, ErrNoDescriptors if this process has no room for them. Of such a packet only
// the n bytes are left; any other error closes what came as well.
//
// Recv drops the descriptors of a packet unseen.
func RecvFDs(fd int, buf []byte, max int) (n int, fds []int, err error) {
	if max < 0 || max > MaxDescriptors {
		return 0, nil, fmt.Errorf("cannot receive: %w: %d, at most %d", ErrTooManyDescriptors, max, MaxDescriptors)
	}
	// Not CmsgSpace: its padding lets in one more than max.
	control := make([]byte, unix.CmsgLen(4*max))
	n, cn, flags, err := recvmsg(fd, buf, control)
	if err != nil {
		return 0, nil, recvError(err)
	}
	if fds, err = parseRights(control[:cn]); err != nil {
		return 0, nil, err
	}
	if err := checkRights(n, len(buf), flags, len(fds), max); err != nil {
		closeAll(fds)
		return min(n, len(buf)), nil, err
	}
	return n, fds, nil
}

func recvmsg(fd int, buf, control []byte) (n, cn, flags int, err error) {
	const how = unix.MSG_DONTWAIT | unix.MSG_TRUNC | unix.MSG_CMSG_CLOEXEC
	n, cn, flags, _, err = unix.Recvmsg(fd, buf, control, how)
	if err == unix.ECONNRESET { // as in Recv
		n, cn, flags, _, err = unix.Recvmsg(fd, buf, control, how)
	}
	return n, cn, flags, err
}

// checkRights judges what one call has received.
func checkRights(n, room, flags, came, max int) error {
	switch {
	case n == 0:
		return io.EOF
	case n > room:
		return fmt.Errorf("cannot receive: %w: %d bytes, room for %d", ErrTooLong, n, room)
	case flags&unix.MSG_CTRUNC != 0 && came == max:
		return fmt.Errorf("cannot receive: %w: at most %d", ErrTooManyDescriptors, max)
	case flags&unix.MSG_CTRUNC != 0:
		return fmt.Errorf("cannot receive: %w: %d came", ErrNoDescriptors, came)
	}
	return nil
}

// parseRights returns the descriptors in the control messages of one packet.
func parseRights(control []byte) (fds []int, err error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("cannot receive: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		// Not unix.ParseUnixRights: it panics unless there are whole descriptors.
		for data := m.Data; len(data) >= 4; data = data[4:] {
			fds = append(fds, int(int32(binary.NativeEndian.Uint32(data))))
		}
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
