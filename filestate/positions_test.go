package filestate

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// A tcpPair is an accepted connection, as a bare non-blocking descriptor, and its peer, in the test's hands.
type tcpPair struct {
	fd   int
	peer *net.TCPConn
}

type failer interface {
	require.TestingT
	Helper()
}

func newTCPPair(t failer, options ...int) *tcpPair {
	t.Helper()
	lfd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(lfd)
	for _, o := range options {
		require.NoError(t, unix.SetsockoptInt(lfd, unix.SOL_SOCKET, o, 1))
	}
	require.NoError(t, unix.Bind(lfd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(lfd, 1))
	name, err := unix.Getsockname(lfd)
	require.NoError(t, err)
	peer, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port})
	require.NoError(t, err)
	fd, _, err := unix.Accept4(lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	return &tcpPair{fd: fd, peer: peer}
}

func (p *tcpPair) close() {
	p.peer.Close()
	unix.Close(p.fd)
}

// awaitIn waits until n bytes, or the end, can be read from fd.
func awaitIn(t failer, fd int, events int16) {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 20_000)
	require.NoError(t, err)
	require.Equal(t, 1, n, "nothing came")
}

func requirePositions(t failer, fd int, read, written uint64, why string) {
	t.Helper()
	r, w, err := TCPPositions(fd)
	require.NoError(t, err)
	require.Equal(t, read, r, "read position: %s", why)
	require.Equal(t, written, w, "write position: %s", why)
}

func onFD(t failer, c syscall.Conn, use func(fd int)) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { use(int(fd)) }))
}

// lose makes a socket drop about one in every packets that reach it, 0: none. What is dropped is sent again.
func lose(t failer, fd int, every uint32) {
	t.Helper()
	if every == 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != unix.ENOENT {
			require.NoError(t, err)
		}
		return
	}
	const loadWord, ifAtLeast, verdict = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	const random = 1<<32 - 0x1000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
	code := []unix.SockFilter{
		{Code: loadWord, K: random},
		{Code: ifAtLeast, Jt: 1, K: uint32((1<<32 - 1) / uint64(every))},
		{Code: verdict, K: 0},
		{Code: verdict, K: 1 << 20},
	}
	prog := &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	require.NoError(t, unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog))
}

func TestPositionsAreWhatTheProcessReadAndWroteWhateverTheNetworkDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newTCPPair(t)
		defer p.close()
		require.NoError(t, unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10))
		require.NoError(t, p.peer.SetReadBuffer(8<<10))
		var read, written uint64
		inEnded, outEnded, peerEnded := false, false, false
		buf := make([]byte, 64<<10)
		check := func(t *rapid.T) {
			if inEnded && outEnded {
				return
			}
			requirePositions(t, p.fd, read, written, "after any sequence of reads, writes, ends and losses")
		}
		size := rapid.IntRange(1, len(buf))
		t.Repeat(map[string]func(*rapid.T){
			"": check,
			"peer writes": func(t *rapid.T) {
				if peerEnded {
					t.Skip()
				}
				b := buf[:size.Draw(t, "n")]
				_ = p.peer.SetWriteDeadline(time.Now().Add(time.Millisecond)) // a full socket takes a part
				_, _ = p.peer.Write(b)
			},
			"peer reads": func(t *rapid.T) {
				_ = p.peer.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, _ = p.peer.Read(buf[:size.Draw(t, "n")])
			},
			"peer ends": func(t *rapid.T) {
				peerEnded = true
				_ = p.peer.CloseWrite()
				inEnded = true
			},
			"peek": func(t *rapid.T) {
				_, _, _ = unix.Recvfrom(p.fd, buf[:size.Draw(t, "n")], unix.MSG_PEEK)
			},
			"read": func(t *rapid.T) {
				if n, _, err := unix.Recvfrom(p.fd, buf[:size.Draw(t, "n")], 0); err == nil {
					read += uint64(n)
				}
			},
			"write": func(t *rapid.T) {
				if n, err := unix.SendmsgN(p.fd, buf[:size.Draw(t, "n")], nil, nil, unix.MSG_NOSIGNAL); err == nil {
					written += uint64(n)
				}
			},
			"end": func(t *rapid.T) {
				outEnded = true
				_ = unix.Shutdown(p.fd, unix.SHUT_WR)
			},
			"network loses": func(t *rapid.T) {
				every := rapid.SampledFrom([]uint32{0, 1, 2, 3}).Draw(t, "one in")
				lose(t, p.fd, every)
				onFD(t, p.peer, func(fd int) { lose(t, fd, every) })
			},
		})
	})
}

func TestPositionsCountRetransmittedBytesOnce(t *testing.T) {
	t.Parallel()
	p := newTCPPair(t)
	defer p.close()
	onFD(t, p.peer, func(fd int) { lose(t, fd, 1) })
	n, err := unix.Write(p.fd, make([]byte, 30_000))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := tcpInfo(p.fd)
		requirePositions(t, p.fd, 0, uint64(n), "while it is sent in vain")
		return err == nil && info.Bytes_retrans > 0
	}, 20*time.Second, time.Millisecond)
	onFD(t, p.peer, func(fd int) { lose(t, fd, 0) })
	_, err = io.ReadFull(p.peer, make([]byte, n))
	require.NoError(t, err)
	requirePositions(t, p.fd, 0, uint64(n), "when it has arrived")
}

func TestPositionsOfAPeerThatNeverReadsEndAtWhatTheKernelTook(t *testing.T) {
	t.Parallel()
	p := newTCPPair(t)
	defer p.close()
	var written uint64
	for {
		n, err := unix.Write(p.fd, make([]byte, 100_000))
		if err == unix.EAGAIN {
			break
		}
		require.NoError(t, err)
		written += uint64(n)
	}
	requirePositions(t, p.fd, 0, written, "closed window")
}

func TestPositionsCountNoEndMark(t *testing.T) {
	t.Parallel()
	in := func(p *tcpPair) { _ = p.peer.CloseWrite(); awaitIn(t, p.fd, unix.POLLRDHUP) }
	out := func(p *tcpPair) {
		require.NoError(t, unix.Shutdown(p.fd, unix.SHUT_WR))
		n, err := p.peer.Read(make([]byte, 10))
		for err == nil && n > 0 {
			n, err = p.peer.Read(make([]byte, 10))
		}
	}
	for name, end := range map[string]func(p *tcpPair){"of the peer": in, "of ours": out} {
		t.Run(name, func(t *testing.T) {
			p := newTCPPair(t)
			defer p.close()
			_, err := p.peer.Write([]byte("request"))
			require.NoError(t, err)
			awaitIn(t, p.fd, unix.POLLIN)
			_, err = unix.Write(p.fd, []byte("reply"))
			require.NoError(t, err)
			end(p)
			requirePositions(t, p.fd, 0, 5, "nothing read yet")
			_, err = unix.Read(p.fd, make([]byte, 3))
			require.NoError(t, err)
			requirePositions(t, p.fd, 3, 5, "a part read")
			_, err = unix.Read(p.fd, make([]byte, 10))
			require.NoError(t, err)
			requirePositions(t, p.fd, 7, 5, "all read but the end")
			_, _ = unix.Read(p.fd, make([]byte, 10))
			requirePositions(t, p.fd, 7, 5, "the end read as well")
		})
	}
}

func TestPositionsOfAConnectionThatIsOverAreAnError(t *testing.T) {
	t.Parallel()
	t.Run("reset", func(t *testing.T) {
		p := newTCPPair(t)
		defer p.close()
		_, err := p.peer.Write([]byte("request"))
		require.NoError(t, err)
		require.NoError(t, p.peer.SetLinger(0))
		require.NoError(t, p.peer.Close())
		awaitIn(t, p.fd, unix.POLLHUP)
		_, _, err = TCPPositions(p.fd)
		require.ErrorIs(t, err, ErrOver)
	})
	t.Run("closed by both sides", func(t *testing.T) {
		p := newTCPPair(t)
		defer p.close()
		require.NoError(t, unix.Shutdown(p.fd, unix.SHUT_WR))
		require.NoError(t, p.peer.CloseWrite())
		awaitIn(t, p.fd, unix.POLLHUP)
		_, _, err := TCPPositions(p.fd)
		if !errors.Is(err, ErrOver) { // the last acknowledgement may be under way
			require.NoError(t, err)
		}
	})
	t.Run("never one", func(t *testing.T) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		defer unix.Close(fds[0])
		defer unix.Close(fds[1])
		_, _, err = TCPPositions(fds[0])
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrOver)
	})
}

func TestPositionsCountAnUrgentByteThatIsKeptInLine(t *testing.T) {
	t.Parallel()
	p := newTCPPair(t, unix.SO_OOBINLINE)
	defer p.close()
	onFD(t, p.peer, func(fd int) {
		_, err := unix.SendmsgN(fd, []byte("abc!"), nil, nil, unix.MSG_OOB)
		require.NoError(t, err)
		_, err = unix.SendmsgN(fd, []byte("def"), nil, nil, 0)
		require.NoError(t, err)
	})
	var got []byte
	for buf := make([]byte, 10); len(got) < 7; {
		awaitIn(t, p.fd, unix.POLLIN)
		n, err := unix.Read(p.fd, buf)
		require.NoError(t, err)
		got = append(got, buf[:n]...)
		requirePositions(t, p.fd, uint64(len(got)), 0, "around an urgent byte")
	}
	require.Equal(t, "abc!def", string(got))
}
