package sock

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary a process with almost no descriptors left to open.
const roleEnv = "TANDEM_SOCK_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		playStarved(role)
		return
	}
	// The runtime's own epoll and eventfd, for good: they are no leak.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	before := census()
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz").Value.String() != ""; fuzzing || code != 0 {
		os.Exit(code) // with processes and pipes of its own, or with a better reason
	}
	if leak := leaked(before); leak != "" {
		fmt.Fprintln(os.Stderr, "broken promise: the tests left behind:", leak)
		code = 1
	}
	os.Exit(code)
}

// leaked says what there is more of than before, once things have settled.
func leaked(before map[string]int) (leak string) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		leak = ""
		for what, n := range census() {
			if n > before[what] {
				leak += fmt.Sprintf(" %s (%d, were %d)", what, n, before[what])
			}
		}
		if leak == "" {
			return ""
		}
	}
	return leak
}

// census counts goroutines, and descriptors by what they are.
func census() map[string]int {
	c := map[string]int{"goroutines": runtime.NumGoroutine()}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			c[strings.TrimRight(target, "0123456789[]:")]++
		}
	}
	return c
}

// pair returns two connected sockets, which the test closes.
func pair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeLater(t, fds[:]...)
	return fds[0], fds[1]
}

// closeLater closes descriptors at the end of the test.
func closeLater(t testing.TB, fds ...int) {
	t.Cleanup(func() {
		for _, fd := range fds {
			require.NoError(t, unix.Close(fd))
		}
	})
}

// replaceByNull closes what is behind fd, and keeps the number taken: other tests
// run beside this one and must not get it before it is closed for good.
func replaceByNull(t testing.TB, fd int) {
	t.Helper()
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(null, fd, unix.O_CLOEXEC))
	require.NoError(t, unix.Close(null))
}

// listenIn returns a listening socket and its path.
func listenIn(t testing.TB, dir string) (lfd int, path string) {
	t.Helper()
	path = filepath.Join(dir, "sock")
	lfd, err := Listen(path)
	require.NoError(t, err)
	closeLater(t, lfd)
	return lfd, path
}

func dialled(t testing.TB, path string) int {
	t.Helper()
	fd, err := Dial(context.Background(), path)
	require.NoError(t, err)
	closeLater(t, fd)
	return fd
}

func accepted(t testing.TB, lfd int) int {
	t.Helper()
	fd, err := Accept(lfd)
	require.NoError(t, err)
	closeLater(t, fd)
	return fd
}

func recvString(t testing.TB, fd int) string {
	t.Helper()
	var buf [256]byte
	n, err := Recv(fd, buf[:])
	require.NoError(t, err)
	return string(buf[:n])
}

// inode tells which open file is behind a descriptor.
func inode(t testing.TB, fd int) uint64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(fd, &st))
	return st.Ino
}

// requireCarefree checks the flags every descriptor of this package has.
func requireCarefree(t testing.TB, fd int) {
	t.Helper()
	status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.NotZero(t, status&unix.O_NONBLOCK, "broken promise: non-blocking")
	requireCloseOnExec(t, fd)
}

func requireCloseOnExec(t testing.TB, fd int) {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC, "broken promise: close-on-exec")
}
