package sock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ListenTCP listens on a TCP address such as "127.0.0.1:7000" or ":7000" and returns the descriptor and the address it
// got: port 0 is the kernel's choice. The descriptor is non-blocking and close-on-exec.
func ListenTCP(addr string) (fd int, at string, err error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // its sockets do not count as TCP's do
	l, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return -1, "", fmt.Errorf("cannot listen: %w", err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return -1, "", fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	var errno error
	err = raw.Control(func(own uintptr) {
		if errno = prepare(int(own)); errno == nil {
			fd, errno = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
		}
	})
	if err == nil {
		err = errno
	}
	if err != nil {
		return -1, "", fmt.Errorf("cannot listen on %s: %w", addr, noDescriptors(err))
	}
	return fd, l.Addr().String(), nil
}

// prepare sets what connections inherit: no time is to be lost between their acceptance and their being passed on.
func prepare(fd int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1), // urgent data stays in its place, for positions to mean something
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), // replies leave in one piece as it is
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1), // a client that is gone without a word is found out
	)
}

// AcceptTCP takes one connection that waits at a listener, with the address of its client. It never waits: ErrAgain when
// there is none. The error wraps ErrNoDescriptors when this process has no room for it; it stays in the queue then.
func AcceptTCP(lfd int) (fd int, remote string, err error) {
	for {
		fd, from, err := unix.Accept4(lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			return fd, addrString(from), nil
		case unix.EAGAIN:
			return -1, "", ErrAgain
		case unix.EINTR, unix.ECONNABORTED: // that one has gone again
			continue
		}
		return -1, "", fmt.Errorf("cannot accept: %w", noDescriptors(err))
	}
}

func addrString(sa unix.Sockaddr) string {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	}
	return ""
}

// Peek reads what a stream holds into buf and leaves it there. It never waits: ErrAgain when there is nothing, io.EOF
// when there will be nothing more.
func Peek(fd int, buf []byte) (n int, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), unix.MSG_DONTWAIT|unix.MSG_PEEK, 0, 0)
	if errno != 0 {
		return 0, streamError("receive", errno)
	}
	if r == 0 {
		return 0, io.EOF
	}
	return int(r), nil
}

// Discard takes n bytes from a TCP stream unread. It never waits: it returns how many there were.
func Discard(fd, n int) (int, error) {
	done := 0
	for done < n {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n-done), unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		if errno != 0 {
			return done, streamError("receive", errno)
		}
		if r == 0 {
			return done, io.EOF
		}
		done += int(r)
	}
	return done, nil
}

// Write sends as much of b as the stream takes now, and returns how much that was: with an error if it is not all of
// it. ErrAgain: the peer has too much unread; ErrPeerGone: nobody reads any more.
func Write(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b[n:]))), uintptr(len(b)-n), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != 0 {
			return n, streamError("send", errno)
		}
		n += int(r)
	}
	return n, nil
}

// streamError names the errors of streams.
func streamError(what string, errno unix.Errno) error {
	switch errno {
	case unix.EAGAIN:
		return ErrAgain
	case unix.EPIPE, unix.ECONNRESET, unix.ENOTCONN, unix.ETIMEDOUT, unix.EHOSTUNREACH, unix.ENETUNREACH:
		return fmt.Errorf("cannot %s: %w: %w", what, ErrPeerGone, errno)
	}
	return fmt.Errorf("cannot %s: %w", what, errno)
}
