package proc

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// lit starts a process with a beacon in a shared cell.
func lit(t testing.TB) (*member, *Cell) {
	t.Helper()
	shared := newPage(t, pageSize)
	require.False(t, shared.cell().Lit())
	m := start(t, "beacon", shared.file)
	require.Equal(t, "lit <nil>", m.hear(t))
	require.True(t, shared.cell().Lit())
	return m, shared.cell()
}

func TestBeaconTellsOfEveryKindOfDeath(t *testing.T) {
	t.Parallel()
	deaths := map[string]func(*member){
		"SIGKILL":     func(m *member) { require.NoError(t, m.p.Signal(unix.SIGKILL)) },
		"SIGTERM":     func(m *member) { require.NoError(t, m.p.Signal(unix.SIGTERM)) },
		"os.Exit":     func(m *member) { m.say(t, "exit") },
		"panic":       func(m *member) { m.say(t, "panic") },
		"end of main": func(m *member) { m.stdin.Close() },
		"kill while asleep": func(m *member) {
			require.NoError(t, m.p.Signal(unix.SIGSTOP))
			require.NoError(t, m.p.Signal(unix.SIGKILL))
		},
	}
	for name, die := range deaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, cell := lit(t)
			noticed := make(chan bool)
			go func() { noticed <- cell.Wait(0) }()
			die(m)
			require.True(t, <-noticed, "broken promise: death is told")
			require.True(t, cell.Dead())
			require.False(t, cell.Lit())
			require.Zero(t, cell.TID())
			require.True(t, cell.Wait(0), "broken promise: who comes late learns it too")
		})
	}
}

func TestExtinguishedBeaconRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	m, cell := lit(t)
	woken := make(chan bool)
	go func() { woken <- cell.Wait(0) }() // asleep by then or late, it hears of it
	m.say(t, "extinguish")
	require.Equal(t, "extinguished", m.hear(t))
	require.False(t, <-woken, "broken promise: the watcher returns, without alarm")

	require.NoError(t, m.p.Signal(unix.SIGKILL))
	<-m.Done()
	require.False(t, cell.Dead(), "broken promise: no alarm for a beacon that was put out")
	require.False(t, cell.Lit())
}

func TestAnnouncedDeathIsKnownWhileTheProcessStillLives(t *testing.T) {
	t.Parallel()
	m, cell := lit(t)
	m.say(t, "announce")
	require.True(t, cell.Wait(0))
	require.Equal(t, "announced", m.hear(t))
	require.True(t, m.ID().Alive())

	m.say(t, "extinguish")
	require.Equal(t, "extinguished", m.hear(t))
	require.True(t, cell.Dead(), "broken promise: an announcement cannot be taken back")
}

func TestWaitEndsAtItsTimeout(t *testing.T) {
	t.Parallel()
	var cell Cell
	require.False(t, cell.Wait(time.Millisecond))
	b, err := Light(&cell)
	require.NoError(t, err)
	defer b.Extinguish()
	require.False(t, cell.Wait(time.Millisecond))
	require.Equal(t, b.TID(), cell.TID())
}

func TestRingBeforeWaitIsNotLost(t *testing.T) {
	t.Parallel()
	for name, light := range map[string]bool{"dark": false, "lit": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cell Cell
			if light {
				b, err := Light(&cell)
				require.NoError(t, err)
				defer b.Extinguish()
			}
			cell.Ring()
			cell.Ring()
			require.Equal(t, light, cell.Lit())
			require.False(t, cell.Wait(0))
			require.Zero(t, cell.word&^(waiters|tidMask), "broken promise: two rings count as one")
		})
	}
}

func TestNoRingIsLostInTheRaceWithWait(t *testing.T) {
	t.Parallel()
	var cell Cell
	b, err := Light(&cell)
	require.NoError(t, err)
	defer b.Extinguish()

	const news = 5000
	var told atomic.Int64
	go func() {
		for range news {
			told.Add(1)
			cell.Ring()
		}
	}()
	for told.Load() < news { // hangs if a ring gets lost
		require.False(t, cell.Wait(0))
	}
}

func TestRingingNeverHidesADeath(t *testing.T) {
	t.Parallel()
	for range 10 {
		m, cell := lit(t)
		var stop atomic.Bool
		var ringers sync.WaitGroup
		ringers.Go(func() {
			for !stop.Load() {
				cell.Ring()
			}
		})
		require.NoError(t, m.p.Signal(unix.SIGKILL))
		for !cell.Wait(0) { // hangs if the death gets lost
		}
		stop.Store(true)
		ringers.Wait()
		require.True(t, cell.Dead())
	}
}

func TestOneCellTakesOneBeacon(t *testing.T) {
	t.Parallel()
	var cell Cell
	cell.Ring() // a rung cell is free as well
	var won, refused atomic.Int64
	var winner atomic.Pointer[Beacon]
	var racers sync.WaitGroup
	for range 8 {
		racers.Go(func() {
			b, err := Light(&cell)
			if err == nil {
				won.Add(1)
				winner.Store(b)
				return
			}
			require.ErrorIs(t, err, ErrLit)
			refused.Add(1)
		})
	}
	racers.Wait()
	require.EqualValues(t, 1, won.Load())
	require.EqualValues(t, 7, refused.Load())

	require.False(t, cell.Wait(0), "broken promise: the ring before the light is heard")
	winner.Load().Announce()
	_, err := Light(&cell)
	require.ErrorIs(t, err, ErrLit, "broken promise: nobody covers up a death")
	winner.Load().Extinguish()
}

func TestBeaconBurnsOnAThreadOfItsOwnThatEndsWithIt(t *testing.T) {
	t.Parallel()
	if !ThreadPidfd() {
		t.Skip("this kernel has no pidfds of threads")
	}
	var cell Cell
	for range 20 {
		b, err := Light(&cell)
		require.NoError(t, err)
		require.NotEqual(t, os.Getpid(), b.TID(), "broken promise: never the first thread")
		fd, err := OpenThread(os.Getpid(), b.TID())
		require.NoError(t, err)
		b.Extinguish()
		b.Extinguish()
		require.False(t, cell.Lit())
		awaitReadable(t, fd)
		unix.Close(fd)
		// The kernel tells of the end a moment before it forgets the number.
		require.Eventually(t, func() bool {
			fd, err := OpenThread(os.Getpid(), b.TID())
			if err == nil {
				unix.Close(fd)
			}
			return errors.Is(err, ErrGone)
		}, 10*time.Second, time.Millisecond)
	}
}

func TestBeaconMayBeLitFromTheFirstThread(t *testing.T) {
	t.Parallel()
	// burnElsewhere is what the first thread does, whichever thread it is tried on.
	var cell Cell
	b := &Beacon{cell: &cell, out: make(chan struct{}), dark: make(chan struct{})}
	lit := make(chan error)
	go b.burnElsewhere(lit)
	require.NoError(t, <-lit)
	require.Equal(t, b.TID(), cell.TID())
	b.Extinguish()
	require.False(t, cell.Lit())
}

// awaitReadable waits for ever: the test's own limit says when that is too long.
func awaitReadable(t testing.TB, fd int) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err == unix.EINTR {
			continue
		}
		require.NoError(t, err)
		require.Equal(t, 1, n)
		return
	}
}
