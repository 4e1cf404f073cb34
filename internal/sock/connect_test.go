package sock

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDiallerAndListenerMeet(t *testing.T) {
	t.Parallel()
	lfd, path := listenIn(t, t.TempDir())
	_, err := Accept(lfd)
	require.Equal(t, ErrAgain, err, "broken promise: returned bare")

	client := dialled(t, path)
	server := accepted(t, lfd)
	for _, fd := range []int{lfd, client, server} {
		requireCarefree(t, fd)
	}
	require.NoError(t, Send(client, []byte("question")))
	require.Equal(t, "question", recvString(t, server))
	require.NoError(t, Send(server, []byte("answer")))
	require.Equal(t, "answer", recvString(t, client))

	for _, fd := range []int{client, server} {
		uid, gid, pid, err := PeerCred(fd)
		require.NoError(t, err)
		require.EqualValues(t, os.Getuid(), uid)
		require.EqualValues(t, os.Getgid(), gid)
		require.Equal(t, os.Getpid(), pid)
	}
}

func TestPathMayBeLongerThanASocketAddress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 3 {
		dir = filepath.Join(dir, strings.Repeat("d", 200))
	}
	require.NoError(t, os.MkdirAll(dir, 0o700))
	lfd, path := listenIn(t, dir)
	require.Greater(t, len(path), maxSunPath)
	client := dialled(t, path)
	require.NoError(t, Send(client, []byte("far")))
	require.Equal(t, "far", recvString(t, accepted(t, lfd)))
}

func TestPathsAroundTheLimitWork(t *testing.T) {
	t.Parallel()
	// The shortest directory there is, so that every length can be made.
	dir, err := os.MkdirTemp("/tmp", "s")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	for length := maxSunPath - 5; length <= maxSunPath+2; length++ {
		sub := filepath.Join(dir, strings.Repeat("x", length-len(dir)-len("//s")))
		require.NoError(t, os.Mkdir(sub, 0o700))
		path := filepath.Join(sub, "s")
		require.Len(t, path, length)
		lfd, err := Listen(path)
		require.NoError(t, err)
		closeLater(t, lfd)
		dialled(t, path)
	}
}

func TestSocketFileIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	_, path := listenIn(t, t.TempDir())
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o600, info.Mode())
}

func TestListenReplacesTheSocketOfTheDead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sock")
	for range 2 {
		former, err := Listen(path)
		require.NoError(t, err)
		require.NoError(t, unix.Close(former)) // as by SIGKILL: the file stays
		_, err = Dial(context.Background(), path)
		require.ErrorIs(t, err, ErrNotListening)
	}
	// A listener killed between bind and rename leaves this.
	require.NoError(t, os.Rename(path, path+".new"))

	lfd, _ := listenIn(t, dir)
	dialled(t, path)
	accepted(t, lfd)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "broken promise: no other file is left")
}

func TestListenSparesOtherFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(path, []byte("data"), 0o600))
	_, err := Listen(path)
	require.ErrorIs(t, err, fs.ErrExist)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "data", string(data))
}

func TestDialFindsNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{
		filepath.Join(dir, "absent"),
		filepath.Join(dir, "no", "such", "directory"),
		filepath.Join(dir, strings.Repeat("long", 50), "absent"),
	} {
		_, err := Dial(context.Background(), path)
		require.ErrorIs(t, err, ErrNotListening, path)
		require.ErrorIs(t, err, fs.ErrNotExist, path)
	}
	_, err := Listen(filepath.Join(dir, "no", "sock"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestDialRefusesAnotherKindOfSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stream")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	_, err = Dial(context.Background(), path)
	require.ErrorIs(t, err, unix.EPROTOTYPE)
}

func TestDialWaitsWhileTheBacklogIsFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "busy")
	lfd, err := newSocket()
	require.NoError(t, err)
	closeLater(t, lfd)
	require.NoError(t, unix.Bind(lfd, &unix.SockaddrUnix{Name: path}))
	require.NoError(t, unix.Listen(lfd, 0)) // room for one
	dialled(t, path)

	ctx, cancel := context.WithCancel(context.Background())
	var givesUp sync.WaitGroup
	givesUp.Go(func() {
		_, err := Dial(ctx, path)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("broken promise: a dialler gives up with its context: %v", err)
		}
	})
	cancel()
	givesUp.Wait()

	waits := make(chan int)
	go func() {
		fd, err := Dial(context.Background(), path)
		if err != nil {
			t.Error(err)
		}
		waits <- fd
	}()
	accepted(t, lfd)
	closeLater(t, <-waits)
}

func TestBuffersHoldWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	fill := func() (packets int) {
		for Send(a, make([]byte, 1024)) == nil {
			packets++
		}
		return packets
	}
	require.NoError(t, SetBuffers(a, 16<<10))
	small := fill()
	require.NoError(t, SetBuffers(a, 128<<10))
	require.Greater(t, fill(), small)
	require.Error(t, SetBuffers(-1, 1))
}
