package mount

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// mounted puts a tree in a place of its own until the end of the test. On a machine without FUSE the test is skipped, and says what is
// missing; with TANDEM_REQUIRE_FUSE it fails.
func mounted(t *testing.T, fsys fs.FS) (string, *Mounted) {
	t.Helper()
	dir := t.TempDir()
	m, err := Mount(dir, fsys, nil)
	if errors.Is(err, ErrNoFUSE) && os.Getenv("TANDEM_REQUIRE_FUSE") == "" {
		t.Skipf("%v (TANDEM_REQUIRE_FUSE=1 makes this a failure)", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, m.Unmount())
		ends(t, m)
	})
	return dir, m
}

// ends waits for the end of a mount.
func ends(t *testing.T, m *Mounted) {
	t.Helper()
	gone := make(chan struct{})
	go func() {
		m.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Fatal("a tree that was unmounted is served still")
	}
}

// The kernel's view is a file system like any other, with the names, modes, sizes and contents of the tree.
func TestWhatIsMountedIsTheTree(t *testing.T) {
	t.Parallel()
	dir, _ := mounted(t, sampleFS())
	look(t, "like at any file system", dir)
	_, err := os.Stat(filepath.Join(dir, "nobody"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// growing is a tree with one file, in which is how often it has been asked for, in a length of its own each time.
type growing struct{ asked atomic.Int64 }

func (g *growing) Open(name string) (fs.File, error) {
	n := int(g.asked.Add(1))
	return fstest.MapFS{"count": {Data: []byte(strconv.Itoa(n) + string(make([]byte, n))), Mode: 0o400}}.Open(name)
}

func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	dir, _ := mounted(t, &growing{})
	look(t, "again and again", dir)
}

func TestNothingCanBeChanged(t *testing.T) {
	t.Parallel()
	dir, _ := mounted(t, sampleFS())
	look(t, "for a change", dir)
}

func TestChildrenDoNotInheritTheTree(t *testing.T) {
	t.Parallel()
	_, _ = mounted(t, sampleFS())
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), "TANDEM_TEST_MOUNT=descriptors")
	out, err := command.Output()
	require.NoError(t, err)
	require.NotContains(t, string(out), device, "a child that holds it would keep the tree of a dead process")
}

func TestWhoIsInATreeThatIsUnmountedMayGoOn(t *testing.T) {
	t.Parallel()
	dir, m := mounted(t, fstest.MapFS{"long": {Data: []byte(longText), Mode: 0o400}})
	command := lookCommand(t, "for long", dir)
	in, err := command.StdinPipe()
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	said := bufio.NewReader(out)
	line, err := said.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "open\n", line)
	require.NoError(t, m.Unmount())
	require.NoFileExists(t, filepath.Join(dir, "long"), "it is gone at once")
	_, err = io.WriteString(in, "go on\n")
	require.NoError(t, err)
	rest, err := io.ReadAll(said)
	require.NoError(t, err)
	require.NoError(t, command.Wait(), "%s", rest)
	ends(t, m)
	require.NoError(t, m.Unmount(), "once is enough, twice is no error")
}

func TestAnotherMountAtThePlaceIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir, first := mounted(t, sampleFS())
	require.NoError(t, first.Unmount())
	second, err := Mount(dir, sampleFS(), nil)
	require.NoError(t, err)
	require.NoError(t, first.Unmount())
	require.FileExists(t, filepath.Join(dir, ".info"), "the first has taken the second away")
	require.NoError(t, second.Unmount())
	ends(t, second)
}

// A process that is killed leaves a mount that answers nobody. The next one at its place begins by clearing it away.
func TestWhatADeadProcessLeftIsClearedAway(t *testing.T) {
	t.Parallel()
	dir, m := mounted(t, sampleFS())
	require.NoError(t, m.Unmount())
	for range 2 {
		command := exec.CommandContext(t.Context(), os.Args[0], dir)
		command.Env = append(os.Environ(), "TANDEM_TEST_MOUNT=serve")
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "mounted\n", line)
		require.FileExists(t, filepath.Join(dir, ".info"))
		require.NoError(t, command.Process.Signal(syscall.SIGKILL))
		_ = command.Wait()
		_, err = os.Stat(filepath.Join(dir, ".info"))
		require.ErrorIs(t, err, syscall.ENOTCONN)
	}
	again, err := Mount(dir, sampleFS(), nil)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, ".info"))
	require.NoError(t, again.Unmount())
	ends(t, again)
	require.NoFileExists(t, filepath.Join(dir, ".info"), "nothing lies below")
}

// The way of those who are not root, with a fusermount3 that the test plays.
func TestTheHelperMounts(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the test plays fusermount3, which is setuid root: run it as root")
	}
	_, _ = mounted(t, sampleFS()) // or there is no FUSE at all
	helper := filepath.Join(t.TempDir(), "fusermount3")
	require.NoError(t, os.Symlink(executable(t), helper))
	dir := t.TempDir()
	fd, err := mountByHelper(helper, dir)
	require.NoError(t, err)
	server, err := serve(fd, sampleFS(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	gone := make(chan struct{})
	go func() {
		server.Serve()
		close(gone)
	}()
	require.NoError(t, server.WaitMount())
	look(t, "like at an entity", dir)
	require.NoError(t, detach(dir, helper))
	<-gone
	require.NoFileExists(t, filepath.Join(dir, ".info"))
	require.ErrorContains(t, detach(dir, helper), "fusermount3")
}

func executable(t *testing.T) string {
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

func TestAHelperThatFailsIsQuoted(t *testing.T) {
	helper := filepath.Join(t.TempDir(), "fusermount3")
	require.NoError(t, os.Symlink(executable(t), helper))
	t.Setenv("TANDEM_TEST_HELPER", "refuses")
	_, err := mountByHelper(helper, "/nowhere")
	require.ErrorContains(t, err, "mount point is not yours")
	t.Setenv("TANDEM_TEST_HELPER", "silent")
	_, err = mountByHelper(helper, "/nowhere")
	require.Error(t, err, "it says that it has mounted, and sends nothing")
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findHelper()
	require.ErrorIs(t, err, ErrNoFUSE)
	require.ErrorContains(t, err, "package fuse3")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Mount(file, sampleFS(), nil)
	require.ErrorIs(t, err, syscall.ENOTDIR)
	_, err = Mount(file+"/x", sampleFS(), nil)
	require.ErrorIs(t, err, syscall.ENOTDIR)
	_, err = Mount(file+"x", sampleFS(), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
