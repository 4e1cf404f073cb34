package proc

import (
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// nobody is a pid above any that Linux gives (PID_MAX_LIMIT is 1<<22).
const nobody = math.MaxInt32 - 1

func TestProcessKnowsItself(t *testing.T) {
	t.Parallel()
	self, err := Self()
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), self.PID)
	same, err := Identify(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, self, same)
	require.True(t, self.Alive())
	require.Regexp(t, `^\d+@\d+$`, self.String())
}

func TestRecycledPidIsRefused(t *testing.T) {
	t.Parallel()
	m := start(t, "idle")
	require.Equal(t, "idle", m.hear(t))
	former := ID{PID: m.ID().PID, Start: m.ID().Start - 1} // who had the pid before
	require.False(t, former.Alive())
	_, err := Open(former)
	require.ErrorIs(t, err, ErrGone)
	require.True(t, m.ID().Alive())
}

func TestNoProcessIsGone(t *testing.T) {
	t.Parallel()
	for _, pid := range []int{nobody, 0, -1} {
		require.False(t, ID{PID: pid}.Alive(), "pid %d", pid)
		_, err := Open(ID{PID: pid})
		require.ErrorIs(t, err, ErrGone, "pid %d", pid)
	}
	_, err := Identify(nobody)
	require.ErrorIs(t, err, ErrGone)
	_, err = OpenThread(os.Getpid(), nobody)
	require.ErrorIs(t, err, ErrGone)
}

func TestThreadOfAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	if !ThreadPidfd() {
		t.Skip("this kernel has no pidfds of threads")
	}
	m := start(t, "idle")
	_, err := OpenThread(os.Getpid(), m.ID().PID)
	require.ErrorIs(t, err, ErrGone)
}

func TestHeldProcessTellsHowItIs(t *testing.T) {
	t.Parallel()
	shared := newPage(t, pageSize)
	m := start(t, "spin", shared.file)
	require.Equal(t, "moving", m.hear(t))
	require.Equal(t, m.ID(), m.p.ID())

	first, err := m.p.CPUTime()
	require.NoError(t, err)
	for used := first; used == first; { // hangs unless a spinning process uses its processor
		used, err = m.p.CPUTime()
		require.NoError(t, err)
	}

	require.NoError(t, m.p.Signal(unix.SIGSTOP))
	awaitState(t, m.p, 'T')

	require.NoError(t, m.p.Signal(unix.SIGKILL))
	awaitReadable(t, m.p.FD())
	<-m.Done()
	_, err = m.p.State()
	require.ErrorIs(t, err, ErrGone)
	_, err = m.p.CPUTime()
	require.ErrorIs(t, err, ErrGone)
	require.ErrorIs(t, m.p.Signal(unix.SIGCONT), ErrGone)
	require.False(t, m.ID().Alive())
}

func TestZombieIsSilentAndNotAlive(t *testing.T) {
	t.Parallel()
	// Started without Spawn, so that nobody reaps it.
	z, err := os.StartProcess("/proc/self/exe", []string{"zombie"}, &os.ProcAttr{Env: []string{roleEnv + "=none", "GOCOVERDIR=" + t.TempDir()}})
	require.NoError(t, err)
	defer z.Wait()
	id, err := Identify(z.Pid)
	require.NoError(t, err)
	p, err := Open(id)
	require.NoError(t, err)
	defer p.Close()
	awaitReadable(t, p.FD())

	state, err := p.State()
	require.NoError(t, err)
	require.EqualValues(t, 'Z', state)
	silent, err := p.Silent()
	require.NoError(t, err)
	require.True(t, silent)
	require.False(t, id.Alive())
	require.NoError(t, p.Fence(0))
}

func TestClosedProcessTouchesNobody(t *testing.T) {
	t.Parallel()
	m := start(t, "idle")
	p, err := Open(m.ID())
	require.NoError(t, err)
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for p.Signal(0) == nil {
			}
		})
	}
	require.NoError(t, p.Close())
	users.Wait()
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Signal(0), os.ErrClosed)
	_, err = p.State()
	require.ErrorIs(t, err, os.ErrClosed)
	require.Equal(t, -1, p.FD())
}

func TestHiddenProcessIsNotTakenForGone(t *testing.T) {
	t.Parallel()
	m := start(t, "idle")
	require.ErrorIs(t, m.p.goneFor(ErrGone), errHidden)
	_ = m.p.Signal(unix.SIGKILL)
	<-m.Done()
	require.ErrorIs(t, m.p.goneFor(ErrGone), ErrGone)
}

func TestWhatKilledAProcessIsKnownBeforeItIsReaped(t *testing.T) {
	t.Parallel()
	shared := newPage(t, pageSize)
	m := start(t, "beacon", shared.file)
	require.Equal(t, "lit <nil>", m.hear(t))
	p, err := Open(m.ID())
	require.NoError(t, err)
	defer p.Close()
	require.Zero(t, p.KilledBy(), "it lives")
	require.NoError(t, p.Signal(unix.SIGKILL))
	require.True(t, shared.cell().Wait(10*time.Second))
	if sig := p.KilledBy(); sig != 0 { // 0: reaped already, and this kernel does not remember
		require.Equal(t, unix.SIGKILL, sig)
	}
	<-m.Done()
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if err := unix.IoctlPidfdInfo(p.FD(), &info); err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		require.Equal(t, unix.SIGKILL, p.KilledBy(), "broken promise: what killed it is known after it was reaped, too")
	} else {
		require.Zero(t, p.KilledBy(), "reaped: nobody knows any more")
	}
}
