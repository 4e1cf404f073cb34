package sock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// backlog asks for as many waiting connections as the host allows
// (net.core.somaxconn), for a pair in takeover accepts nobody.
const backlog = 1 << 16

// Listen returns a socket that listens under path, with mode 0600 from the first
// moment. It replaces a socket left there, in one step: a dialler finds the old
// one or one that listens, never nothing. The caller makes sure, with a lock of
// its own, that the old one is not in use; another kind of file is left alone,
// with an error that wraps fs.ErrExist.
func Listen(path string) (fd int, err error) {
	fd, err = newSocket()
	if err == nil {
		if err = listen(fd, path); err == nil {
			return fd, nil
		}
		unix.Close(fd)
	}
	return -1, fmt.Errorf("cannot listen at %s: %w", path, noDescriptors(err))
}

func listen(fd int, path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fs.ErrExist
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The socket's own mode is what bind gives the file (less the umask), so that
	// it is never open to others, not even before a chmod.
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return err
	}
	if err := withAddr(fresh, func(a *unix.SockaddrUnix) error { return unix.Bind(fd, a) }); err != nil {
		return err
	}
	err := unix.Listen(fd, backlog)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
	}
	return err
}

// Pauses of Dial while the listener's backlog is full.
const (
	firstPause = time.Millisecond
	maxPause   = 50 * time.Millisecond
)

// Dial connects to the socket that listens under path. While its backlog is full
// it tries again until ctx ends. The error is ErrNotListening when there is no
// such file, or nobody listens behind it.
func Dial(ctx context.Context, path string) (fd int, err error) {
	fd, err = newSocket()
	if err == nil {
		if err = dial(ctx, fd, path); err == nil {
			return fd, nil
		}
		unix.Close(fd)
	}
	return -1, fmt.Errorf("cannot dial %s: %w", path, noDescriptors(err))
}

func dial(ctx context.Context, fd int, path string) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := withAddr(path, func(a *unix.SockaddrUnix) error { return unix.Connect(fd, a) })
		switch err {
		case unix.ENOENT, unix.ECONNREFUSED:
			return fmt.Errorf("%w: %w", ErrNotListening, err)
		case unix.EAGAIN, unix.EINTR: // EAGAIN: the backlog is full; connect(2)
		default:
			return err
		}
		retry := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			retry.Stop()
			return ctx.Err()
		case <-retry.C:
		}
	}
}

// Accept returns the next connection of a listening socket: ErrAgain when there is
// none, ErrNoDescriptors when there is one but no descriptor for it. Such a
// connection waits on; the caller had better wait too, for the socket stays
// readable.
func Accept(lfd int) (fd int, err error) {
	for {
		fd, _, err = unix.Accept4(lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			return fd, nil
		case unix.EAGAIN:
			return -1, ErrAgain
		case unix.EINTR, unix.ECONNABORTED:
		default:
			return -1, fmt.Errorf("cannot accept: %w", noDescriptors(err))
		}
	}
}

// PeerCred returns user, group and pid of the process that made the other end: the
// one that dialled, or that called listen. It may have handed it to others since.
func PeerCred(fd int) (uid, gid uint32, pid int, err error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("cannot see who is at the other end: %w", err)
	}
	return c.Uid, c.Gid, int(c.Pid), nil
}

// SetBuffers makes room for that many bytes of packets sent and not yet received.
// Where the host's limit (net.core.wmem_max) is lower, the limit holds.
func SetBuffers(fd, bytes int) error {
	// A unix socket keeps what is under way in the sender's buffer; the receiver's counts for nothing.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bytes) == nil {
		return nil // root only: goes over the limit
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes); err != nil {
		return fmt.Errorf("cannot set the buffer of a socket: %w", err)
	}
	return nil
}

func newSocket() (int, error) {
	return unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// noDescriptors adds ErrNoDescriptors to the errors that mean it.
func noDescriptors(err error) error {
	if err == unix.EMFILE || err == unix.ENFILE {
		return fmt.Errorf("%w: %w", ErrNoDescriptors, err)
	}
	return err
}
