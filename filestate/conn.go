package filestate

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// ErrAgain says that the call would have to wait: for the peer to send something, or to read what it was sent.
var ErrAgain = sock.ErrAgain

// Conn is a stream connection, TCP or unix, with a peer that knows nothing of pairs. Both members hold it, so it
// outlives either.
//
// What comes in is looked at with Peek. Take and Hold plan that bytes are used up, Reply that bytes are sent. The program
// then checkpoints the State, and Do sends and uses up what was planned. When a backup goes on from a State, Do first finds
// out how far the old primary got with the same, so the peer gets every byte once, and every byte of it is used once.
//
// A Conn never waits; FD is to be polled. It is for one goroutine at a time.
type Conn struct {
	link link
	st   ConnState
	sure bool // st.Tail is what is not written, and the link knows what has been read
}

// ConnState is what a member must know to go on with a Conn. Positions count bytes from the beginning of the connection.
type ConnState struct {
	Network string `msgpack:"network"` // "tcp" or "unix"
	In      uint64 `msgpack:"in"`      // bytes of the input that are used up, or held
	Held    []byte `msgpack:"held"`    // the last of them: the beginning of something that has not come whole
	Out     uint64 `msgpack:"out"`     // bytes of all that was to be sent
	Tail    []byte `msgpack:"tail"`    // the last of them: what may not have been sent
	Ends    bool   `msgpack:"ends"`    // nothing follows
}

// link is a connection as one of the kernel's: it knows positions.
type link interface {
	network() string
	fds() []int // the socket first
	// peek reads what follows position at, without using it up.
	peek(at uint64, b []byte) (int, error)
	// consume uses up everything before position to.
	consume(to uint64) error
	// write sends b, which begins at position at, and returns how much of it: with an error if that is not all.
	write(at uint64, b []byte) (int, error)
	// resume finds out how far somebody else got: how much was sent. It is an error if more than in was used up.
	resume(in uint64) (written uint64, err error)
}

var (
	errPositions = errors.New("the connection is not where the state says")
	errNoStream  = errors.New("neither TCP nor a unix stream")

	errNotResumed = errors.New("its state was set, and Do has not gone on from there")
)

// OpenConn makes a Conn of a connected socket, of which nothing has been used up or sent. The socket belongs to it, also if there is
// an error.
func OpenConn(fd int) (*Conn, error) {
	l, err := newLink(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot keep a connection: %w", err)
	}
	c := &Conn{link: l, st: ConnState{Network: l.network()}}
	if c.st.Out, err = l.resume(0); err != nil { // a TCP connection that was dialled begins at 1
		closeAll(l.fds())
		return nil, fmt.Errorf("cannot keep a connection: %w", err)
	}
	c.sure = true
	return c, nil
}

func newLink(fd int) (link, error) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	var kind, protocol int
	if err == nil {
		kind, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	}
	if err == nil {
		protocol, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		if kind == unix.SOCK_STREAM && protocol == unix.IPPROTO_TCP {
			return &tcpLink{fd: fd}, nil
		}
		if kind == unix.SOCK_STREAM && domain == unix.AF_UNIX {
			return newUnixLink(fd)
		}
		err = errNoStream
	}
	_ = unix.Close(fd)
	return nil, err
}

// BackupOpenConn opens the connection of a State in the other member. fds are those that FDs returned there, as they came
// over a unix socket (SCM_RIGHTS). They belong to the Conn, also if there is an error.
func BackupOpenConn(st ConnState, fds ...int) (*Conn, error) {
	var l link
	switch {
	case st.Network == "tcp" && len(fds) == 1:
		l = &tcpLink{fd: fds[0]}
	case st.Network == "unix" && len(fds) == unixFDs:
		l = openUnixLink(fds)
	default:
		closeAll(fds)
		return nil, fmt.Errorf("cannot open a connection for the backup: network %q with %d descriptors: %w", st.Network, len(fds), ErrNotThis)
	}
	c := &Conn{link: l, st: ConnState{Network: st.Network}}
	return c, c.SetState(st)
}

// FDs returns the descriptors that the other member needs for BackupOpenConn. They belong to the Conn.
func (c *Conn) FDs() []int { return c.link.fds() }

// FD returns the socket, for polling.
func (c *Conn) FD() int { return c.link.fds()[0] }

// State returns what the backup must know, to be checkpointed. It is valid until the next call.
func (c *Conn) State() ConnState { return c.st }

// SetState takes over what the other member has checkpointed. The next thing must be Do, once that other member is known
// to be dead.
func (c *Conn) SetState(st ConnState) error {
	if st.Network != c.st.Network {
		return fmt.Errorf("cannot set the state of a connection: %q, expected %q: %w", st.Network, c.st.Network, ErrNotThis)
	}
	c.st, c.sure = st, false
	c.st.Held, c.st.Tail = slices.Clip(st.Held), slices.Clip(st.Tail)
	return nil
}

// Peek reads what follows what is used up, into buf, and leaves it there. ErrAgain: there is nothing; io.EOF: there will
// be nothing more; ErrOver: the peer is gone.
func (c *Conn) Peek(buf []byte) (n int, err error) {
	if !c.sure {
		return 0, connError("read", errNotResumed)
	}
	if n, err = c.link.peek(c.st.In, buf); err != nil && err != ErrAgain && err != io.EOF {
		return 0, connError("read", err)
	}
	return n, err
}

// Held returns what is held.
func (c *Conn) Held() []byte { return c.st.Held }

// Hold plans that b, the next bytes that Peek gives, is used up though it is only the beginning of something: it becomes part of
// the State, and the kernel has room for what follows.
func (c *Conn) Hold(b []byte) {
	c.st.Held = append(c.st.Held, b...)
	c.st.In += uint64(len(b))
}

// Take plans that what is held is used up, and n more bytes of those that Peek gives.
func (c *Conn) Take(n int) {
	c.st.Held = nil
	c.st.In += uint64(n)
}

// Reply plans to send b. It is copied.
func (c *Conn) Reply(b []byte) {
	c.st.Tail = append(c.st.Tail, b...)
	c.st.Out += uint64(len(b))
}

// End plans that nothing follows: when everything has been sent, the peer is told that this is the end.
func (c *Conn) End() { c.st.Ends = true }

// Do does what is planned, and after SetState what is left of it: it sends, and then uses up. ErrAgain: the peer has too
// much unread; what is left stays in the State, and Do is to be called when FD is writable. ErrOver: the peer is gone.
func (c *Conn) Do() error {
	err := c.do()
	if err != nil && err != ErrAgain {
		return connError("go on with", err)
	}
	return err
}

func (c *Conn) do() error {
	st := &c.st
	first := st.Out - uint64(len(st.Tail)) // position of the first byte of the tail
	if !c.sure {
		written, err := c.link.resume(st.In)
		if err != nil {
			return err
		}
		if written < first || written > st.Out {
			return fmt.Errorf("%w: %d bytes sent, expected %d to %d", errPositions, written, first, st.Out)
		}
		st.Tail, first, c.sure = st.Tail[written-first:], written, true
	}
	n, err := c.link.write(first, st.Tail)
	if st.Tail = st.Tail[n:]; len(st.Tail) == 0 {
		st.Tail = nil
	}
	if used := c.link.consume(st.In); used != nil {
		return used
	}
	if err == nil && st.Ends {
		if err = unix.Shutdown(c.FD(), unix.SHUT_WR); err == unix.ENOTCONN { // both sides have ended it before
			err = nil
		}
	}
	return err
}

// Close closes the descriptors. The connection goes on while the other member holds it; see End.
func (c *Conn) Close() error {
	closeAll(c.link.fds())
	return nil
}

// connError adds ErrOver to the errors that mean it.
func connError(what string, err error) error {
	if errors.Is(err, sock.ErrPeerGone) || errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return fmt.Errorf("cannot %s a connection: %w: %w", what, ErrOver, err)
	}
	return fmt.Errorf("cannot %s a connection: %w", what, err)
}
