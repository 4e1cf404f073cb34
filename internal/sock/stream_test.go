package sock

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// acceptedStream returns both ends of a TCP connection.
func acceptedStream(t *testing.T) (fd int, client *net.TCPConn) {
	t.Helper()
	lfd, at, err := ListenTCP("127.0.0.1:0")
	require.NoError(t, err)
	defer unix.Close(lfd)
	_, _, err = AcceptTCP(lfd)
	require.Equal(t, ErrAgain, err, "nobody waits yet")
	c, err := net.Dial("tcp", at)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	awaitReadiness(t, lfd)
	fd, remote, err := AcceptTCP(lfd)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.Equal(t, c.LocalAddr().String(), remote)
	return fd, c.(*net.TCPConn)
}

func awaitReadiness(t *testing.T, fd int) {
	t.Helper()
	ok, err := WaitReadable(fd, 10*time.Second)
	require.NoError(t, err)
	require.True(t, ok)
}

func TestAStreamIsPeekedAtAndThenTaken(t *testing.T) {
	t.Parallel()
	fd, client := acceptedStream(t)
	buf := make([]byte, 16)
	_, err := Peek(fd, buf)
	require.Equal(t, ErrAgain, err)
	_, err = client.Write([]byte("abcdef"))
	require.NoError(t, err)
	awaitReadiness(t, fd)
	for range 2 { // it stays
		n, err := Peek(fd, buf)
		require.NoError(t, err)
		require.Equal(t, "abcdef", string(buf[:n]))
	}
	n, err := Discard(fd, 2)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = Peek(fd, buf)
	require.NoError(t, err)
	require.Equal(t, "cdef", string(buf[:n]))
	n, err = Discard(fd, 9)
	require.Equal(t, ErrAgain, err)
	require.Equal(t, 4, n)
	require.NoError(t, client.CloseWrite())
	awaitReadiness(t, fd)
	_, err = Peek(fd, buf)
	require.Equal(t, io.EOF, err)
	_, err = Discard(fd, 1)
	require.Equal(t, io.EOF, err)
}

func TestAStreamTakesWhatThereIsRoomFor(t *testing.T) {
	t.Parallel()
	fd, client := acceptedStream(t)
	text := []byte(strings.Repeat("0123456789", 1<<20))
	n, err := Write(fd, text)
	require.Equal(t, ErrAgain, err)
	require.Positive(t, n)
	require.Less(t, n, len(text))
	got := make([]byte, n)
	_, err = io.ReadFull(client, got)
	require.NoError(t, err)
	require.Equal(t, text[:n], got)
}

func TestAResetStreamSaysThatItsPeerIsGone(t *testing.T) {
	t.Parallel()
	fd, client := acceptedStream(t)
	require.NoError(t, client.SetLinger(0))
	require.NoError(t, client.Close())
	awaitReadiness(t, fd)
	_, err := Peek(fd, make([]byte, 1))
	require.ErrorIs(t, err, ErrPeerGone)
	_, err = Write(fd, []byte("x"))
	require.ErrorIs(t, err, ErrPeerGone)
}

func TestConnectionsInheritWhatTheListenerIsSetTo(t *testing.T) {
	t.Parallel()
	fd, _ := acceptedStream(t)
	for what, option := range map[string][2]int{
		"keep-alive":  {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
		"no delay":    {unix.IPPROTO_TCP, unix.TCP_NODELAY},
		"urgent data": {unix.SOL_SOCKET, unix.SO_OOBINLINE},
	} {
		v, err := unix.GetsockoptInt(fd, option[0], option[1])
		require.NoError(t, err)
		require.NotZero(t, v, what)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC, "broken promise: descriptors are close-on-exec")
}

func TestAnAddressThatCannotBeListenedOnIsAnError(t *testing.T) {
	t.Parallel()
	fd, at, err := ListenTCP("127.0.0.1:0")
	require.NoError(t, err)
	defer unix.Close(fd)
	_, _, err = ListenTCP(at)
	require.True(t, errors.Is(err, unix.EADDRINUSE), "%v", err)
	_, _, err = ListenTCP("nonsense")
	require.ErrorContains(t, err, "cannot listen")
}
