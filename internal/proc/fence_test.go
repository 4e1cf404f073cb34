package proc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is what a fence may take at most on a machine busy with other tests.
const patience = 30 * time.Second

func TestNothingRunsAfterTheFence(t *testing.T) {
	t.Parallel()
	for role, at := range map[string]struct{ rounds, size int }{
		"spin":  {6, pageSize},
		"storm": {3, pageSize},  // threads come and go all the time
		"copy":  {6, copiedLen}, // long system calls are under way
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			for range at.rounds {
				shared := newPage(t, at.size)
				m := start(t, role, shared.file)
				require.Equal(t, "moving", m.hear(t))
				silent, err := m.p.Silent()
				require.NoError(t, err)
				require.False(t, silent)

				require.NoError(t, m.p.Fence(patience))
				fenced := shared.samples()
				<-m.Done() // reaped: now nothing can move any more
				if !bytes.Equal(fenced, shared.samples()) {
					t.Fatal("broken promise: nothing of a process moves after its fence")
				}
			}
		})
	}
}

func TestStoppedProcessIsFencedAndCannotBeContinued(t *testing.T) {
	t.Parallel()
	shared := newPage(t, pageSize)
	m := start(t, "spin", shared.file)
	require.Equal(t, "moving", m.hear(t))
	require.NoError(t, m.p.Signal(unix.SIGSTOP))
	awaitState(t, m.p, 'T')
	silent, err := m.p.Silent()
	require.NoError(t, err)
	require.False(t, silent, "broken promise: a stopped process may come back")
	require.True(t, m.ID().Alive())

	require.NoError(t, m.p.Fence(patience))
	fenced := shared.samples()
	if err := m.p.Signal(unix.SIGCONT); err != nil {
		require.ErrorIs(t, err, ErrGone)
	}
	<-m.Done()
	require.Equal(t, fenced, shared.samples(), "broken promise: SIGCONT after the fence changes nothing")
}

func TestFenceOfTheDeadSucceedsAtOnce(t *testing.T) {
	t.Parallel()
	m := start(t, "idle")
	require.Equal(t, "idle", m.hear(t))
	m.stdin.Close()
	<-m.Done()
	silent, err := m.p.Silent()
	require.NoError(t, err)
	require.True(t, silent)
	require.NoError(t, m.p.Fence(0))
}

func TestFenceThatFailsSaysWhatStillRuns(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{-time.Second, 0, 5 * time.Millisecond} {
		looks := 0
		began := time.Now()
		err := awaitSilence(func() (string, error) {
			looks++
			return "thread 42 is in state D", nil
		}, timeout)
		require.ErrorIs(t, err, ErrNotFenced)
		require.ErrorContains(t, err, "thread 42 is in state D")
		require.Positive(t, looks)
		require.GreaterOrEqual(t, time.Since(began), timeout, "broken promise: the last look is not before the deadline")
	}
}

func TestFenceGoesOnLookingAfterAnError(t *testing.T) {
	t.Parallel()
	full := errors.New("out of descriptors")
	looks := 0
	require.NoError(t, awaitSilence(func() (string, error) {
		if looks++; looks < 3 {
			return "", full
		}
		return "", nil
	}, patience))

	err := awaitSilence(func() (string, error) { return "", full }, 0)
	require.ErrorIs(t, err, ErrNotFenced)
	require.ErrorIs(t, err, full)
}

func TestFenceOfAClosedProcessIsNoFence(t *testing.T) {
	t.Parallel()
	self, err := Self()
	require.NoError(t, err)
	p, err := Open(self)
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Fence(0), ErrNotFenced)
	require.ErrorIs(t, p.Fence(0), os.ErrClosed)
}

func TestEveryThreadIsListed(t *testing.T) {
	t.Parallel()
	self, err := Self()
	require.NoError(t, err)
	p, err := Open(self)
	require.NoError(t, err)
	defer p.Close()
	var cell [8]Cell
	want := map[int]bool{}
	for i := range cell {
		b, err := Light(&cell[i])
		require.NoError(t, err)
		defer b.Extinguish()
		want[b.TID()] = true
	}
	require.NoError(t, p.eachThread(func(tid int) (bool, error) {
		delete(want, tid)
		return true, nil
	}))
	require.Empty(t, want)
}

func FuzzThreadsOfAListing(f *testing.F) {
	entry := func(name string) []byte {
		b := make([]byte, 24)
		binary.NativeEndian.PutUint16(b[16:], 24)
		copy(b[19:], name)
		return b
	}
	f.Add(append(entry("."), entry("1234")...))
	f.Add(entry("77")[:20])
	f.Add([]byte{18: 0xff})
	f.Fuzz(func(t *testing.T, listing []byte) {
		for rest := listing; len(rest) > 0; {
			before := len(rest)
			_, rest = nextThread(rest)
			require.Less(t, len(rest), before, "broken promise: a listing has an end")
		}
	})
}

// awaitState looks until the process is in that state.
func awaitState(t testing.TB, p *Process, want byte) {
	t.Helper()
	for {
		got, err := p.State()
		require.NoError(t, err)
		if got == want {
			return
		}
		runtime.Gosched()
	}
}
