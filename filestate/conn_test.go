package filestate

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// closeWriter is a client's end of a connection.
type closeWriter interface {
	net.Conn
	CloseWrite() error
	SetReadBuffer(int) error
}

// connected returns a connection that a Listener has accepted, and the client's end.
func connected(t failer, l *Listener) (*Conn, closeWriter) {
	t.Helper()
	peer, err := net.Dial(l.State().Network, l.State().Address)
	require.NoError(t, err)
	awaitIn(t, l.FD(), unix.POLLIN)
	c, err := l.Accept()
	require.NoError(t, err)
	return c, peer.(closeWriter)
}

func listening(t *testing.T, network string) *Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "socket")
	}
	l, err := OpenListener(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// onEachNetwork runs a test on TCP and on unix connections.
func onEachNetwork(t *testing.T, test func(t *testing.T, l *Listener)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			test(t, listening(t, network))
		})
	}
}

// nextMember is the Conn of the member that takes over: it has the same open files, and the checkpoint.
func nextMember(t failer, old *Conn, checkpoint []byte) *Conn {
	t.Helper()
	var fds []int
	for _, fd := range old.FDs() {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		fds = append(fds, dup)
	}
	require.NoError(t, old.Close())
	var st ConnState
	require.NoError(t, codec.Decode(checkpoint, &st))
	next, err := BackupOpenConn(st, fds...)
	require.NoError(t, err)
	require.NoError(t, next.SetState(st))
	return next
}

// A member dies between any two bytes of what Do does, or before it, or without a checkpoint, any number of times. The peer gets
// exactly the replies, and exactly what it has sent is read.
func TestAConnectionGoesOnExactlyWhereTheDeadMemberStopped(t *testing.T) {
	t.Parallel()
	onEachNetwork(t, func(t *testing.T, l *Listener) {
		rapid.Check(t, func(t *rapid.T) {
			c, peer := connected(t, l)
			defer func() { require.NoError(t, c.Close()) }()
			defer peer.Close()
			require.NoError(t, peer.SetReadBuffer(4<<10))
			require.NoError(t, unix.SetsockoptInt(c.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10))

			type model struct{ in, out int }
			var sent, replies, got []byte // by the client; to the client, as planned; and as it has come
			var now, safe model           // as planned, and as checkpointed
			ended := false
			save := func() []byte {
				safe = now
				b, err := codec.Append(nil, c.State())
				require.NoError(t, err)
				return b
			}
			checkpoint := save()
			buf := make([]byte, 40<<10)
			size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, len(buf)))
			noise := func(t *rapid.T) []byte { // the same numbers twice would hide a mistake
				seed, b := rapid.Uint32().Draw(t, "seed"), make([]byte, size.Draw(t, "n"))
				for i := range b {
					seed = seed*1664525 + 1013904223
					b[i] = byte(seed >> 24)
				}
				return b
			}
			receive := func() {
				_ = peer.SetReadDeadline(time.Now().Add(time.Millisecond))
				n, _ := peer.Read(buf)
				got = append(got, buf[:n]...)
				require.True(t, bytes.HasPrefix(replies[:safe.out], got), "the client gets what was checkpointed, once and in order")
			}
			finish := func() {
				err := c.Do()
				for ; err == ErrAgain; err = c.Do() {
					receive()
				}
				require.NoError(t, err)
			}
			t.Repeat(map[string]func(*rapid.T){
				"client sends": func(t *rapid.T) {
					if ended {
						t.Skip()
					}
					b := noise(t)
					_ = peer.SetWriteDeadline(time.Now().Add(time.Millisecond))
					n, _ := peer.Write(b)
					sent = append(sent, b[:n]...)
				},
				"client reads": func(t *rapid.T) { receive() },
				"client ends": func(t *rapid.T) {
					if rapid.IntRange(0, 5).Draw(t, "ends") == 0 {
						ended = true
						require.NoError(t, peer.CloseWrite())
					}
				},
				"handle": func(t *rapid.T) {
					b := buf[:1+size.Draw(t, "look at")%len(buf)]
					n, err := c.Peek(b)
					if err == ErrAgain || err == io.EOF && ended {
						require.Zero(t, n)
						return
					}
					require.NoError(t, err)
					require.Equal(t, sent[now.in:now.in+n], b[:n], "what the client sent is read once, and in order")
					n = min(n, size.Draw(t, "use"))
					if rapid.Bool().Draw(t, "hold") {
						held := append(bytes.Clone(c.Held()), b[:n]...)
						c.Hold(b[:n])
						require.Equal(t, held, c.Held())
					} else {
						c.Take(n)
						require.Empty(t, c.Held())
					}
					now.in += n
					reply := noise(t)
					c.Reply(reply)
					replies = append(replies[:now.out], reply...)
					now.out += len(reply)
				},
				"checkpoint and do": func(t *rapid.T) {
					checkpoint = save()
					if err := c.Do(); err != ErrAgain {
						require.NoError(t, err)
					}
				},
				"checkpoint and die": func(t *rapid.T) {
					if rapid.Bool().Draw(t, "with what is planned") {
						checkpoint = save()
						dieInDo(t, c)
					}
					now = safe
					c = nextMember(t, c, checkpoint)
					finish()
				},
			})
			checkpoint = save()
			finish()
			for len(got) < now.out {
				receive()
			}
			require.Equal(t, string(replies[:now.out]), string(got))
		})
	})
}

// dieInDo does a part of what Do does.
func dieInDo(t *rapid.T, c *Conn) {
	st := c.State()
	first := st.Out - uint64(len(st.Tail))
	if !c.sure {
		return
	}
	n := rapid.IntRange(0, len(st.Tail)).Draw(t, "written")
	written, err := c.link.write(first, st.Tail[:n])
	if err != ErrAgain {
		require.NoError(t, err)
	}
	if l, ok := c.link.(*tcpLink); ok && written == len(st.Tail) {
		require.NoError(t, l.consume(rapid.Uint64Range(l.read, st.In).Draw(t, "used up")))
	}
}

func TestTheEndIsToldBothWays(t *testing.T) {
	t.Parallel()
	onEachNetwork(t, func(t *testing.T, l *Listener) {
		c, peer := connected(t, l)
		defer peer.Close()
		_, err := c.Peek(make([]byte, 10))
		require.Equal(t, ErrAgain, err)
		_, err = peer.Write([]byte("last words"))
		require.NoError(t, err)
		require.NoError(t, peer.CloseWrite())
		awaitIn(t, c.FD(), unix.POLLRDHUP)
		b := make([]byte, 20)
		n, err := c.Peek(b)
		require.NoError(t, err)
		require.Equal(t, "last words", string(b[:n]))
		c.Take(n)
		c.Reply([]byte("bye"))
		c.End()
		checkpoint, err := codec.Append(nil, c.State())
		require.NoError(t, err)
		c = nextMember(t, c, checkpoint)
		defer c.Close()
		require.NoError(t, c.Do())
		require.NoError(t, c.Do(), "again")
		_, err = c.Peek(b)
		require.Equal(t, io.EOF, err)
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "bye", string(got))
	})
}

func TestAPeerThatIsGoneIsAnErrorOfItsConnection(t *testing.T) {
	t.Parallel()
	onEachNetwork(t, func(t *testing.T, l *Listener) {
		c, peer := connected(t, l)
		defer c.Close()
		if tcp, ok := peer.(*net.TCPConn); ok {
			require.NoError(t, tcp.SetLinger(0))
		}
		require.NoError(t, peer.Close())
		awaitIn(t, c.FD(), unix.POLLHUP)
		c.Reply([]byte("anybody?"))
		require.ErrorIs(t, c.Do(), ErrOver)
	})
}

// A client that does not read holds up nobody, and what waits for it stays in the state.
func TestAClientThatNeverReadsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	onEachNetwork(t, func(t *testing.T, l *Listener) {
		c, peer := connected(t, l)
		defer peer.Close()
		sent := 0
		for err := error(nil); err == nil; err = c.Do() {
			c.Reply(bytes.Repeat([]byte{byte(sent)}, 100_000))
			sent++
		}
		st := c.State()
		require.NotEmpty(t, st.Tail)
		require.EqualValues(t, sent*100_000, st.Out)
		checkpoint, err := codec.Append(nil, st)
		require.NoError(t, err)
		c = nextMember(t, c, checkpoint)
		defer c.Close()
		require.Equal(t, ErrAgain, c.Do())
		require.Equal(t, st, c.State())
	})
}

// What has been used up, and what has been read by the client, takes no memory, however much it was.
func TestAUnixConnectionKeepsNothingBehindIt(t *testing.T) {
	t.Parallel()
	c, peer := connected(t, listening(t, "unix"))
	defer c.Close()
	defer peer.Close()
	b := make([]byte, 32<<10)
	for range 100 {
		_, err := peer.Write(b)
		require.NoError(t, err)
		for got := 0; got < len(b); {
			awaitIn(t, c.FD(), unix.POLLIN)
			n, err := c.Peek(b)
			require.NoError(t, err)
			c.Take(n)
			c.Reply(b[:n])
			got += n
			require.NoError(t, c.Do())
		}
		_, err = io.ReadFull(peer, b)
		require.NoError(t, err)
	}
	l := c.link.(*unixLink)
	for name, fd := range map[string]int{"input": l.in, "output": l.out} {
		var st unix.Stat_t
		require.NoError(t, unix.Fstat(fd, &st))
		require.EqualValues(t, 100*len(b), st.Size, "%s: positions go on", name)
		require.Less(t, st.Blocks*512, int64(4*holeStep), name)
	}
}

func TestAStateOfAnotherConnectionIsRefused(t *testing.T) {
	t.Parallel()
	onEachNetwork(t, func(t *testing.T, l *Listener) {
		c, peer := connected(t, l)
		defer c.Close()
		defer peer.Close()
		for name, st := range map[string]ConnState{
			"more is used up than came": {Network: c.st.Network, In: 1},
			"more was sent":             {Network: c.st.Network, Out: 10, Tail: []byte("123")},
		} {
			require.NoError(t, c.SetState(st), name)
			require.Error(t, c.Do(), name)
		}
		require.ErrorIs(t, c.SetState(ConnState{Network: "udp"}), ErrNotThis)
		_, err := BackupOpenConn(ConnState{Network: c.st.Network})
		require.ErrorIs(t, err, ErrNotThis)
	})
	t.Run("no stream", func(t *testing.T) {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		_, err = OpenConn(fd)
		require.ErrorIs(t, err, errNoStream)
	})
}

// A connection that was dialled counts as well as one that was accepted.
func TestADialledConnectionIsKeptToo(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: server.Addr().(*net.TCPAddr).Port}))
	c, err := OpenConn(fd)
	require.NoError(t, err)
	peer, err := server.Accept()
	require.NoError(t, err)
	defer peer.Close()
	c.Reply([]byte("hello"))
	checkpoint, err := codec.Append(nil, c.State())
	require.NoError(t, err)
	require.NoError(t, c.Do())
	c = nextMember(t, c, checkpoint)
	defer c.Close()
	require.NoError(t, c.Do())
	c.End()
	require.NoError(t, c.Do())
	got, err := io.ReadAll(peer)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got), errors.Is(err, io.EOF))
}
