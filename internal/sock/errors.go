package sock

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var (
	// ErrAgain says that the call would have to wait: nothing to read or accept, or
	// no room to send. It is returned bare, so that it can be compared with ==.
	ErrAgain = errors.New("would block")
	// ErrTooLong says that a packet does not fit: the receiver's buffer, by which
	// the packet is lost, or the socket's, by which nothing was sent.
	ErrTooLong = errors.New("packet too long")
	// ErrPeerGone says that nobody holds the other end any more.
	ErrPeerGone = errors.New("peer is gone")
	// ErrNotListening says that no process listens under the path.
	ErrNotListening = errors.New("nobody is listening")
	// ErrNoDescriptors says that a limit on open descriptors was hit, in this
	// process or on the host, and a descriptor could not come in or go out.
	ErrNoDescriptors = errors.New("out of file descriptors")
	// ErrTooManyDescriptors says that a packet brought more of them than expected.
	ErrTooManyDescriptors = errors.New("too many file descriptors in packet")
	// ErrEmpty says that a packet of no bytes was to be sent: its receiver could not
	// tell it from the end.
	ErrEmpty = errors.New("empty packet")
)

// sendError names the errors of sending.
func sendError(err error) error {
	switch err {
	case nil:
		return nil
	case unix.EAGAIN:
		return ErrAgain
	case unix.EPIPE, unix.ECONNRESET, unix.ENOTCONN:
		return ErrPeerGone
	case unix.EMSGSIZE:
		return ErrTooLong
	case unix.ETOOMANYREFS: // too many sent and not yet received, against RLIMIT_NOFILE
		return fmt.Errorf("cannot send: %w: %w", ErrNoDescriptors, err)
	}
	return fmt.Errorf("cannot send: %w", err)
}

// recvError names the errors of receiving, after resets have been dealt with.
func recvError(err error) error {
	if err == unix.EAGAIN {
		return ErrAgain
	}
	return fmt.Errorf("cannot receive: %w", err)
}
