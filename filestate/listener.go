package filestate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// Listener is a listening socket, TCP or unix stream, that both members hold: while either lives no connect is refused, and
// who takes over accepts what waits.
type Listener struct {
	fd int
	st ListenerState
}

// ListenerState is what a member must know of a Listener. It never changes.
type ListenerState struct {
	Network string `msgpack:"network"` // "tcp" or "unix"
	Address string `msgpack:"address"` // as it is: with the port that the kernel chose, or the path
}

// OpenListener listens on a TCP address such as "127.0.0.1:7000" or ":0", or on the path of a unix socket. The file of a
// unix socket has mode 0600, and replaces one that nobody listens behind any more; EADDRINUSE: somebody does.
func OpenListener(network, address string) (*Listener, error) {
	l := &Listener{st: ListenerState{Network: network, Address: address}}
	var err error
	switch network {
	case "tcp":
		l.fd, l.st.Address, err = sock.ListenTCP(address)
	case "unix":
		l.fd, err = listenUnix(address)
	default:
		err = fmt.Errorf("network %q, expected tcp or unix: %w", network, unix.EPROTONOSUPPORT)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen at %s: %w", address, err)
	}
	return l, nil
}

// BackupOpenListener opens the listener of a State in the other member. fds are those that FDs returned there, as they
// came over a unix socket (SCM_RIGHTS). They belong to the Listener, also if there is an error.
func BackupOpenListener(st ListenerState, fds ...int) (*Listener, error) {
	if len(fds) == 1 {
		if listening, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listening == 1 {
			return &Listener{fd: fds[0], st: st}, nil
		}
	}
	closeAll(fds)
	return nil, fmt.Errorf("cannot open the listener at %s for the backup: expected one listening socket: %w", st.Address, ErrNotThis)
}

// FDs returns the descriptors that the other member needs for BackupOpenListener. They belong to the Listener.
func (l *Listener) FDs() []int { return []int{l.fd} }

// FD returns the socket, for polling.
func (l *Listener) FD() int { return l.fd }

// State returns where the listener listens.
func (l *Listener) State() ListenerState { return l.st }

// SetState checks that st is the state of this listener: ErrNotThis if it is not.
func (l *Listener) SetState(st ListenerState) error {
	if st != l.st {
		return fmt.Errorf("cannot set the state of the listener at %s to that of %s: %w", l.st.Address, st.Address, ErrNotThis)
	}
	return nil
}

// Accept takes one connection that waits. ErrAgain: none does. It never waits. Whoever lets a connection go that was not
// passed to the other member loses it when it dies: pass FDs first, checkpoint the State, then answer.
func (l *Listener) Accept() (*Conn, error) {
	var fd int
	var err error
	if l.st.Network == "tcp" {
		fd, _, err = sock.AcceptTCP(l.fd)
	} else {
		fd, err = sock.Accept(l.fd)
	}
	if err != nil {
		return nil, err
	}
	return OpenConn(fd)
}

// Close closes the descriptor. The other member listens on; the file of a unix socket stays, for the next OpenListener to
// replace.
func (l *Listener) Close() error { return unix.Close(l.fd) }

// listenUnix binds under another name and renames, so that a client finds a socket that listens or none.
func listenUnix(path string) (fd int, err error) {
	fresh := path + ".new"
	if len(fresh) > maxSunPath {
		return -1, fmt.Errorf("a path of %d bytes, expected at most %d: %w", len(path), maxSunPath-len(".new"), unix.ENAMETOOLONG)
	}
	if err := checkStale(path); err != nil {
		return -1, err
	}
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = os.Remove(fresh); err == nil || errors.Is(err, fs.ErrNotExist) {
		err = bindPrivate(fd, fresh)
	}
	if err == nil {
		if err = unix.Listen(fd, backlog); err == nil {
			err = os.Rename(fresh, path)
		}
		if err != nil {
			_ = os.Remove(fresh)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// maxSunPath is the longest path of a unix socket that every client can name.
const maxSunPath = len(unix.RawSockaddrUnix{}.Path) - 1

// backlog asks for as many waiting connections as the host allows: a pair in takeover accepts none.
const backlog = 1 << 16

// bindPrivate binds a socket with mode 0600: bind gives the file the socket's own.
func bindPrivate(fd int, path string) error {
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrUnix{Name: path})
}

// checkStale makes sure that path leads to nothing, or to a socket that nobody listens behind.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fs.ErrExist
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	switch err {
	case unix.ECONNREFUSED, unix.ENOENT:
		return nil
	case nil, unix.EAGAIN, unix.EPROTOTYPE: // a full backlog; a socket of another type
		return unix.EADDRINUSE
	}
	return err
}
