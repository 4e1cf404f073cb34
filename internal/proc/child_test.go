package proc

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestChildIsReapedAndTellsHowItEnded(t *testing.T) {
	t.Parallel()
	shared := newPage(t, pageSize)
	m := start(t, "beacon", shared.file)
	require.Equal(t, "lit <nil>", m.hear(t))
	require.Nil(t, m.State())
	m.say(t, "exit")
	<-m.Done()
	require.Equal(t, 7, m.State().ExitCode())
	require.ErrorIs(t, unix.Kill(m.ID().PID, 0), unix.ESRCH, "broken promise: the child is reaped")

	killed := start(t, "idle")
	require.NoError(t, killed.p.Signal(unix.SIGKILL))
	<-killed.Done()
	require.Equal(t, "signal: killed", killed.State().String())
}

func TestChildInheritsOnlyWhatItIsGiven(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	given, err := os.Create(filepath.Join(dir, "given"))
	require.NoError(t, err)
	defer given.Close()
	// As a careless library opens files: without close-on-exec.
	careless, err := unix.Open(filepath.Join(dir, "careless"), unix.O_CREAT|unix.O_RDWR, 0o600)
	require.NoError(t, err)
	defer unix.Close(careless)

	m := start(t, "files", given)
	list, err := io.ReadAll(m.stdout)
	require.NoError(t, err)
	require.Contains(t, string(list), "3 "+given.Name())
	require.Equal(t, 1, strings.Count(string(list), dir), "broken promise: nothing else is inherited:\n%s", list)
}

func TestChildWithoutStreamsHasNullDevices(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	child, err := Spawn(Spec{Env: []string{roleEnv + "=files", "GOCOVERDIR=" + t.TempDir()}, Stdout: w})
	require.NoError(t, err)
	w.Close()
	list, err := io.ReadAll(r)
	require.NoError(t, err)
	<-child.Done()
	require.True(t, child.State().Success())
	require.Contains(t, string(list), "0 /dev/null\n")
	require.Contains(t, string(list), "2 /dev/null\n")
}

func TestSpawnOfNothingFails(t *testing.T) {
	t.Parallel()
	_, err := Spawn(Spec{Path: filepath.Join(t.TempDir(), "absent")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestChildReapedByOthersHasNoState(t *testing.T) {
	t.Parallel()
	c := &Child{done: make(chan struct{})}
	stranger, err := os.FindProcess(os.Getppid())
	require.NoError(t, err)
	c.wait(stranger)
	<-c.Done()
	require.Nil(t, c.State())
}

func TestMemberDumpsNoCore(t *testing.T) {
	t.Parallel()
	m := start(t, "nocore")
	require.Equal(t, "<nil>", m.hear(t))
	require.Equal(t, "<nil> true", m.hear(t))
}

func TestWithoutCloseRangeNoDescriptorLeaksEither(t *testing.T) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0) // without O_CLOEXEC
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, closeOnExecEach())
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC, "broken promise: a descriptor is close-on-exec")
}
