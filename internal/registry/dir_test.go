package registry

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOpenMakesAPrivateDirectory(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "not", "yet", "there")
	d := openDir(t, root, "bank")
	require.Equal(t, "bank", d.Name())
	require.Equal(t, filepath.Join(root, "bank"), d.Path())
	for _, dir := range []string{root, d.Path()} {
		info, err := os.Lstat(dir)
		require.NoError(t, err)
		require.Equal(t, fs.ModeDir|0o700, info.Mode(), dir)
	}
	require.NoError(t, d.Publish(Page{}))
	info, err := os.Lstat(filepath.Join(d.Path(), "page"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	again := openDir(t, root, "bank")
	require.Equal(t, d.Path(), again.Path(), "an existing directory is used")
}

func TestOpenRefusesWhatOthersCouldChange(t *testing.T) {
	t.Parallel()
	mkdir := func(t *testing.T, mode fs.FileMode, path string) {
		require.NoError(t, os.MkdirAll(path, 0o700))
		require.NoError(t, os.Chmod(path, mode))
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, root string)
		ok   bool
	}{
		"run directory anybody lists":   {func(t *testing.T, root string) { mkdir(t, 0o755, root) }, true},
		"run directory the group fills": {func(t *testing.T, root string) { mkdir(t, 0o775, root) }, false},
		"run directory anybody fills":   {func(t *testing.T, root string) { mkdir(t, 0o1777, root) }, false},
		"run directory is a link":       {func(t *testing.T, root string) { require.NoError(t, os.Symlink(t.TempDir(), root)) }, false},
		"pair's anybody lists":          {func(t *testing.T, root string) { mkdir(t, 0o755, filepath.Join(root, "bank")) }, false},
		"pair's the group enters":       {func(t *testing.T, root string) { mkdir(t, 0o710, filepath.Join(root, "bank")) }, false},
		"pair's is a link": {func(t *testing.T, root string) {
			mkdir(t, 0o700, root)
			require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(root, "bank")))
		}, false},
		"pair's is a file": {func(t *testing.T, root string) {
			mkdir(t, 0o700, root)
			require.NoError(t, os.WriteFile(filepath.Join(root, "bank"), nil, 0o600))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tempRoot(t)
			c.make(t, root)
			d, err := Open(root, "bank")
			if c.ok {
				require.NoError(t, err)
				require.NoError(t, d.Close())
				return
			}
			require.ErrorIs(t, err, ErrNotPrivate)
			require.ErrorContains(t, err, `cannot open the directory of "bank" under `+root)
		})
	}
}

func TestARunDirectoryThatCannotBeMadeIsAnError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(filepath.Join(file, "run"), "bank")
	require.ErrorIs(t, err, unix.ENOTDIR)
	require.ErrorContains(t, err, file)
}

func TestTheSocketIsReachedHoweverLongItsPath(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	d := openDir(t, root, "bank")
	path, err := SocketPath(root, "bank")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(d.Path(), d.SocketName()), path)

	short := filepath.Join("/proc/self/fd", strconv.Itoa(d.FD()), d.SocketName())
	l, err := net.Listen("unix", short)
	require.NoError(t, err)
	defer l.Close()
	_, err = os.Lstat(path)
	require.NoError(t, err, "the socket is not where SocketPath says")
}

// Not parallel, like every test that takes a lock which this process held: a process that another test is just starting
// has copies of all descriptors until it executes.
func TestTheLockHasOneHolder(t *testing.T) {
	d := openDir(t, tempRoot(t), "bank")
	fd, err := d.Lock()
	require.NoError(t, err)
	_, err = d.Lock()
	require.ErrorIs(t, err, ErrHeld)
	require.EqualError(t, err, "cannot lock bank: held by another process")
	require.NoError(t, unix.Close(fd))

	fd, err = d.Lock()
	require.NoError(t, err, "a lock that was released is free")
	require.NoError(t, unix.Close(fd))
}

func TestOfManyProcessesThatRaceForTheLockOneWins(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	var ins []io.Writer
	var outs []*bufio.Reader
	for range 6 {
		_, in, out := start(t, "lock", root, "bank")
		ins, outs = append(ins, in), append(outs, out)
	}
	_, err := io.MultiWriter(ins...).Write([]byte("go\n")) // to each, and none ends before it has all their words
	require.NoError(t, err)
	words := map[string]int{}
	for _, out := range outs {
		word, err := out.ReadString('\n')
		require.NoError(t, err)
		words[word]++
	}
	require.Equal(t, map[string]int{"locked\n": 1, "cannot lock bank: held by another process\n": 5}, words)
}

// The kernel drops a lock when the last copy of its open file description is gone, not when its taker is.
func TestALockThatWasPassedOutlivesItsFirstHolder(t *testing.T) {
	root := tempRoot(t)
	ours, theirs := socketpair(t)
	first, _, _ := start(t, "pass", root, "bank", theirs)
	theirs.Close()
	passed := receiveFD(t, ours)
	d := openDir(t, root, "bank")

	_, err := d.Lock()
	require.ErrorIs(t, err, ErrHeld, "two hold the lock")
	kill(first)
	_, err = d.Lock()
	require.ErrorIs(t, err, ErrHeld, "the lock was lost with its first holder, though the second lives")
	require.NoError(t, unix.Close(passed))

	fd, err := d.Lock()
	require.NoError(t, err, "both are gone, and the lock is still held")
	require.NoError(t, unix.Close(fd))
}

func TestAKilledHolderLeavesAStaleDirectoryThatIsTakenOver(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	holder, in, out := start(t, "lock", root, "bank")
	_, err := in.Write([]byte("go\n"))
	require.NoError(t, err)
	word, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", word)
	kill(holder)

	d := openDir(t, root, "bank")
	fd, err := d.Lock()
	require.NoError(t, err, "the lock of a dead process is free")
	require.NoError(t, unix.Close(fd))
}

func TestALockOfADirectoryThatWasRemovedIsWorthNothing(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	d := openDir(t, root, "bank")
	require.NoError(t, os.Remove(d.Path()))
	_, err := d.Lock()
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, d.Path())

	fd, err := openDir(t, root, "bank").Lock()
	require.NoError(t, err, "who opens it anew gets it anew")
	require.NoError(t, unix.Close(fd))
}

func TestAClosedDirectoryIsClosed(t *testing.T) {
	t.Parallel()
	d, err := Open(tempRoot(t), "bank")
	require.NoError(t, err)
	require.NoError(t, d.Publish(Page{}))
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.ErrorIs(t, d.Publish(Page{}), fs.ErrClosed)
	_, err = d.Lock()
	require.Error(t, err)
}

// Not parallel: it counts the descriptors of the process.
func TestNoDescriptorIsLeft(t *testing.T) {
	root := tempRoot(t)
	before := descriptors(t)
	for range 5 {
		d, err := Open(root, "bank")
		require.NoError(t, err)
		fd, err := d.Lock()
		require.NoError(t, err)
		_, err = d.Lock()
		require.ErrorIs(t, err, ErrHeld)
		require.NoError(t, d.Publish(testPage(1)))
		_, err = Read(root, "bank")
		require.NoError(t, err)
		_, errs := List(root)
		require.Empty(t, errs)
		_, err = Open(root, "..")
		require.ErrorIs(t, err, ErrBadName)
		require.NoError(t, unix.Close(fd))
		require.NoError(t, d.Close())
	}
	require.Equal(t, before, descriptors(t))
}

func descriptors(t *testing.T) (fds []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if errors.Is(err, fs.ErrNotExist) { // the descriptor of ReadDir itself
			continue
		}
		require.NoError(t, err)
		fds = append(fds, e.Name()+" "+target)
	}
	return fds
}

func socketpair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func receiveFD(t *testing.T, socket *os.File) int {
	t.Helper()
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(int(socket.Fd()), make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	require.NoError(t, err)
	require.Equal(t, 1, n, "the other process ended before it passed the lock")
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	require.NoError(t, err)
	require.Len(t, messages, 1)
	fds, err := unix.ParseUnixRights(&messages[0])
	require.NoError(t, err)
	require.Len(t, fds, 1)
	return fds[0]
}
