package sock

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDescriptorsTravelWithTheirPacket(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	x, y := pair(t)
	require.NoError(t, Send(a, []byte("plain")))
	require.NoError(t, SendFDs(a, []byte("two"), x, y))
	require.NoError(t, SendFDs(a, []byte("none")))

	buf := make([]byte, 64)
	n, fds, err := RecvFDs(b, buf, 4)
	require.NoError(t, err)
	require.Equal(t, "plain", string(buf[:n]))
	require.Empty(t, fds)

	n, fds, err = RecvFDs(b, buf, 4)
	require.NoError(t, err)
	require.Equal(t, "two", string(buf[:n]))
	require.Len(t, fds, 2)
	closeLater(t, fds...)
	for i, sent := range []int{x, y} {
		require.Equal(t, inode(t, sent), inode(t, fds[i]))
		requireCloseOnExec(t, fds[i])
	}
	// The same connection, whoever holds it.
	require.NoError(t, Send(fds[0], []byte("hello")))
	require.Equal(t, "hello", recvString(t, y))

	n, fds, err = RecvFDs(b, buf, 4)
	require.NoError(t, err)
	require.Equal(t, "none", string(buf[:n]))
	require.Empty(t, fds)
	_, _, err = RecvFDs(b, buf, 4)
	require.Equal(t, ErrAgain, err)
}

// held counts the descriptors behind which there is this open file.
func held(t *testing.T, ino uint64) (n int) {
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		var st unix.Stat_t
		if unix.Stat("/proc/self/fd/"+fd.Name(), &st) == nil && st.Ino == ino {
			n++
		}
	}
	return n
}

func TestDescriptorsOfARefusedPacketAreClosed(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	for _, max := range []int{0, 1, 2, 3} {
		x, _ := pair(t)
		require.NoError(t, SendFDs(a, []byte("four"), x, x, x, x))
		buf := make([]byte, 8)
		n, fds, err := RecvFDs(b, buf, max)
		require.ErrorIs(t, err, ErrTooManyDescriptors, "room for %d", max)
		require.Equal(t, "four", string(buf[:n]), "broken promise: the bytes are left")
		require.Empty(t, fds)
		require.Equal(t, 1, held(t, inode(t, x)), "broken promise: none comes in when not all can")
	}

	x, _ := pair(t)
	require.NoError(t, SendFDs(a, []byte("too long"), x))
	_, fds, err := RecvFDs(b, make([]byte, 3), 1)
	require.ErrorIs(t, err, ErrTooLong)
	require.Empty(t, fds)

	require.NoError(t, SendFDs(a, []byte("unasked"), x))
	require.Equal(t, "unasked", recvString(t, b))
	require.Equal(t, 1, held(t, inode(t, x)), "broken promise: Recv takes none")
}

func TestMostDescriptorsFitOnePacket(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	many := make([]int, MaxDescriptors)
	for i := range many {
		many[i] = a
	}
	require.NoError(t, SendFDs(a, []byte("many"), many...))
	_, fds, err := RecvFDs(b, make([]byte, 8), MaxDescriptors)
	require.NoError(t, err)
	require.Len(t, fds, MaxDescriptors)
	closeAll(fds)

	require.ErrorIs(t, SendFDs(a, []byte("more"), append(many, a)...), ErrTooManyDescriptors)
	for _, max := range []int{-1, MaxDescriptors + 1} {
		_, _, err = RecvFDs(b, make([]byte, 8), max)
		require.ErrorIs(t, err, ErrTooManyDescriptors)
	}
}

// The limit on descriptors is the whole process's, so a process of its own meets it.
func TestProcessOutOfDescriptors(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"accept", "receive", "dial", "listen", "poller"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("/proc/self/exe")
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), roleEnv+"="+role, "GOCOVERDIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			require.NoError(t, err)
			require.Equal(t, "kept\n", string(out))
		})
	}
}

// starved stands in for a test in that process.
type starved struct{ testing.TB }

func (starved) Helper()        {}
func (starved) Cleanup(func()) {}
func (starved) FailNow()       { os.Exit(1) }

func (starved) Errorf(format string, args ...any) { fmt.Printf(format, args...) }

// playStarved is main of that process. It says which promise is broken, or "kept".
func playStarved(role string) {
	t := starved{}
	lfd, path := listenIn(t, ".")
	dialled(t, path)
	a, b := pair(t)
	require.NoError(t, SendFDs(a, []byte("three"), a, a, a))

	var lim unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &lim))
	next, err := unix.Dup(0) // the first free number
	require.NoError(t, err)
	require.NoError(t, unix.Close(next))
	allow := func(more int) {
		lim.Cur = uint64(next + more)
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &lim))
	}
	allow(0)
	switch role {
	case "accept":
		_, err = Accept(lfd)
		require.ErrorIs(t, err, ErrNoDescriptors)
		allow(1)
		_, err = Accept(lfd)
		require.NoError(t, err, "broken promise: the connection waits on")
	case "receive":
		allow(2)
		buf := make([]byte, 8)
		n, fds, err := RecvFDs(b, buf, 8)
		require.ErrorIs(t, err, ErrNoDescriptors)
		require.Equal(t, "three", string(buf[:n]))
		require.Empty(t, fds)
		again, err := unix.Dup(0)
		require.NoError(t, err)
		require.Equal(t, next, again, "broken promise: what came was closed")
	case "dial":
		_, err = Dial(context.Background(), path)
		require.ErrorIs(t, err, ErrNoDescriptors)
	case "listen":
		_, err = Listen(path)
		require.ErrorIs(t, err, ErrNoDescriptors)
	case "poller":
		_, err = NewPoller()
		require.ErrorIs(t, err, ErrNoDescriptors)
		allow(1)
		_, err = NewPoller()
		require.ErrorIs(t, err, ErrNoDescriptors)
		again, err := unix.Dup(0)
		require.NoError(t, err)
		require.Equal(t, next, again, "broken promise: half a poller is closed")
	}
	allow(100) // what ends a process may need some
	fmt.Println("kept")
}

func FuzzRights(f *testing.F) {
	f.Add(unix.UnixRights())
	f.Add(unix.UnixRights(1 << 20))
	f.Add(unix.UnixRights(1<<20, 1<<21, 1<<22))
	f.Add(append(unix.UnixRights(1<<20), unix.UnixCredentials(&unix.Ucred{})...))
	f.Add(unix.UnixRights(1, 2, 3)[:unix.CmsgLen(8)])
	torn := unix.UnixRights(1, 2, 3)
	binary.NativeEndian.PutUint64(torn, uint64(unix.CmsgLen(5)))
	f.Add(torn)
	f.Fuzz(func(t *testing.T, control []byte) {
		fds, err := parseRights(control) // names only: nothing is closed here
		require.LessOrEqual(t, 4*len(fds), len(control))
		if err != nil {
			return
		}
		for _, fd := range fds {
			var raw [4]byte
			binary.NativeEndian.PutUint32(raw[:], uint32(fd))
			require.True(t, bytes.Contains(control, raw[:]), "broken promise: only what came is returned")
		}
	})
}
